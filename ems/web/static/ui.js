// What every part of the page is made of.

import htm from "./vendor/htm.js";
import { Fragment, h, render } from "./vendor/preact.js";

export { Fragment, render };
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
export const html = htm.bind(h);
