// Shapes say the same as colours do; devices are drawn with the strokes of a wiring diagram. No font is needed for them.

import { html } from "./ui.js";

const MARKS = {
  good: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  uncertain: "M8 2l6 6-6 6-6-6z",
  bad: "M8 2l7 12H1z",
  hand: "M2 2h12v12H2z",
};

export const Mark = ({ level }) =>
  html`<svg class="mark ${level}" viewBox="0 0 16 16" aria-hidden="true"><path d=${MARKS[level]} /></svg>`;

export const SYMBOLS = {
  grid_meter: "M2.5 2.5h11v11h-11zM5 11V5l3 4 3-4v6",
  load: "M3 8l5-5 5 5M4.5 7v6.5h7V7M7 13.5V10h2v3.5",
  metered_load: "M3 8l5-5 5 5M4.5 7v6.5h7V7M6 11h4M6 9h4",
  pv: "M2.5 3.5h11v9h-11zM2.5 8h11M6.2 3.5v9M9.8 3.5v9",
  wind: "M8 8V14M6.5 14h3M8 7V1.5L9.2 6zM8.6 8.4l4.8 2.7-4.8-1.2zM7.4 8.4l-4.8 2.7 4-3.1z",
  battery: "M2.5 4.5h10v7h-10zM12.5 6.5h1.5v3h-1.5M5 6.5v3M7.5 6.5v3M10 6.5v3",
  hybrid: "M2.5 2.5h11v5h-11zM6.2 2.5v5M9.8 2.5v5M3.5 9.5h8v4h-8zM11.5 10.7h1.3v1.6h-1.3M6 10.7v1.6M9 10.7v1.6",
  charge_point: "M3.5 13.5v-11h6v11M2.5 13.5h8M5 5h3M9.5 8h2v3.5a1 1 0 0 0 2 0V6l-2-2",
  heat_pump: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM4.5 9c1.5-2.5 2.3-2.5 3.5 0s2 2.5 3.5 0",
  genset: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM10.5 6.2A3 3 0 1 0 11 9H8.5",
  deferrable: "M3 2.5h10v11H3zM8 6a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM5 4.3h2M8 7.6V9l1.2 .8",
  pipe: "M1.5 6h13M1.5 10h13M4 6v4M12 6v4M6.5 8h3M8.5 7L9.5 8L8.5 9",
  heat_load: "M3 8l5-5 5 5M4.5 7v6.5h7V7M6.5 11.5c1-1.5-1-1.5 0-3M9.5 11.5c1-1.5-1-1.5 0-3",
  tank: "M4 4.5a4 2 0 0 1 8 0v7a4 2 0 0 1-8 0zM4 7.5h8M6.2 11.5v-2M9.8 11.5v-2",
  boiler: "M3.5 2.5h9v11h-9zM8 5c2 2 2.3 3 2.3 4a2.3 2.3 0 0 1-4.6 0c0-1 .3-1.5 1-2 .3 1 .8 1 1 .5 .2-.7 0-1.5.3-2.5z",
  electric_boiler: "M3.5 2.5h9v11h-9zM8.7 4.5L6 8.5h3.5L7 11.8",
  heat_source: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM5.5 10.5c1-1.7-1-1.7 0-3.5M8 10.5c1-1.7-1-1.7 0-3.5M10.5 10.5c1-1.7-1-1.7 0-3.5",
  cold_load: "M3 8l5-5 5 5M4.5 7v6.5h7V7M8 8v4.5M6 9l4 2.5M10 9l-4 2.5",
  cold_tank: "M4 4.5a4 2 0 0 1 8 0v7a4 2 0 0 1-8 0zM4 7.5h8M8 8.5v4M6.3 9.5l3.4 2M9.7 9.5l-3.4 2",
  chiller: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v6M5.4 6.5l5.2 3M10.6 6.5l-5.2 3",
  cold_pipe: "M1.5 6h13M1.5 10h13M4 6v4M12 6v4M6.5 8h3M8.5 7L9.5 8L8.5 9",
  heat_meter: "M2.5 2.5h11v11h-11zM5.5 11V5M10.5 11V5M5.5 8h5",
  building_automation: "M3 13.5v-11h10v11zM5.5 5h1.5M9 5h1.5M5.5 8h1.5M9 8h1.5M7 13.5V11h2v2.5",
};

export const Symbol16 = ({ kind, x = 0, y = 0 }) =>
  html`<path class="symbol" transform="translate(${x} ${y})" d=${SYMBOLS[kind] ?? "M3 3h10v10H3z"} />`;

export const Symbol = ({ kind }) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path class="symbol" d=${SYMBOLS[kind] ?? "M3 3h10v10H3z"} /></svg>`;
