// The little of the DOM that the page needs: make, mark, and rows that are made once and then only changed.

const SVG = "http://www.w3.org/2000/svg";

export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function dress(element, className) {
  if (element.getAttribute("class") !== className) element.setAttribute("class", className);
}

// Shape and text say the same as the colour does: dot, diamond, triangle.
const SHAPES = {
  good: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  uncertain: "M8 2l6 6-6 6-6-6z",
  bad: "M8 2l7 12H1z",
};

export function mark(level) {
  return draw("svg", { class: `mark ${level}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, draw("path", { d: SHAPES[level] }));
}

// Keeps one element an id inside a parent, in the order of the ids.
export function keep(parent, rows, ids, build) {
  for (const [id, row] of rows) {
    if (!ids.includes(id)) {
      row.element.remove();
      rows.delete(id);
    }
  }
  ids.forEach((id, index) => {
    if (!rows.has(id)) rows.set(id, build(id));
    const { element } = rows.get(id);
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
}
