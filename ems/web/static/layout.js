// Where everything of the one-line diagram stands: a busbar on top, feeders hanging from it in columns. Pure.

export const SIZE = { column: 280, gap: 24, gutter: 10, header: 48, row: 38, between: 10, top: 146, busbar: 132, indent: 18 };

// The buses from the source down to the main busbar, and what hangs from that.
export function trunk(buses) {
  const children = Map.groupBy(buses, ({ parent }) => parent);
  const source = (children.get(null) ?? [])[0];
  if (!source) return { source: null, main: null, children };
  let main = source;
  const below = (bus) => children.get(bus.id) ?? [];
  while (below(main).length === 1 && below(main)[0].branch.kind === "transformer") main = below(main)[0];
  return { source, main, children };
}

export function layOut(topology, width) {
  const { source, main, children } = trunk(topology.buses);
  if (!main) return null;
  const hanging = Map.groupBy(Object.entries(topology.assets).filter(([, asset]) => asset.bus && asset.kind !== "grid_meter"), ([, { bus }]) => bus);
  const blocks = feederBlocks(main, children, hanging);
  const count = Math.max(1, Math.min(blocks.length, Math.floor((width + SIZE.gap) / (SIZE.column + SIZE.gap))));
  const columns = spread(blocks, count);
  const columnWidth = Math.min((width - (columns.length - 1) * SIZE.gap) / Math.max(columns.length, 1), 1.4 * SIZE.column);
  const placed = { buses: [], assets: [], wires: [] };
  const heights = columns.map((column, number) => placeColumn(column, number * (columnWidth + SIZE.gap), columnWidth, placed));
  return { ...placed, source, main, width, columnWidth, height: Math.max(SIZE.top, ...heights) };
}

function feederBlocks(main, children, hanging) {
  const own = hanging.get(main.id) ?? [];
  const feeders = (children.get(main.id) ?? []).map((bus) => ({ bus, lines: linesOf(bus, children, hanging) }));
  return own.length ? [{ bus: null, lines: [{ bus: null, depth: 0, assets: own }] }, ...feeders] : feeders;
}

// A feeder as lines from its head down: a bus, how far it is indented, whose line it hangs from, its assets.
function linesOf(head, children, hanging) {
  const lines = [];
  const visit = (bus, depth, from) => {
    const here = lines.push({ bus, depth, from, assets: hanging.get(bus.id) ?? [] }) - 1;
    const below = children.get(bus.id) ?? [];
    // Side branches first, so that the run of the feeder goes straight on.
    below.slice(1).forEach((child) => visit(child, depth + 1, here));
    if (below.length) visit(below[0], depth, here);
  };
  visit(head, 0, -1);
  return lines;
}

const heightOf = ({ lines }) =>
  lines.reduce((sum, { bus, assets }) => sum + (bus ? SIZE.header : 0) + assets.length * SIZE.row + SIZE.between, 0);

// Blocks in their order, cut so that the tallest column is as low as it can be.
function spread(blocks, count) {
  let limit = Math.max(0, ...blocks.map(heightOf));
  let columns = fill(blocks, limit);
  while (columns.length > count) columns = fill(blocks, (limit += SIZE.row / 2));
  return columns;
}

function fill(blocks, limit) {
  const columns = [[]];
  let height = 0;
  for (const block of blocks) {
    if (columns.at(-1).length && height + heightOf(block) > limit) {
      columns.push([]);
      height = 0;
    }
    columns.at(-1).push(block);
    height += heightOf(block);
  }
  return columns;
}

function placeColumn(column, left, width, placed) {
  const inner = left + column.length * SIZE.gutter + 6;
  const right = left + width;
  let y = SIZE.top;
  column.forEach((block, rank) => {
    // The lowest feeder has the leftmost riser, so that no riser crosses another feeder's bars.
    const riser = left + 4 + (column.length - 1 - rank) * SIZE.gutter;
    const spots = [];
    for (const line of block.lines) {
      const x = inner + line.depth * SIZE.indent;
      const parent = spots[line.from];
      const tap = parent ? { x: parent.x - 4, y: parent.bar } : { x: riser, y: SIZE.busbar };
      if (line.bus) {
        const bar = y + SIZE.header - 4;
        placed.wires.push([tap.x, tap.y, tap.x, bar], [tap.x, bar, x, bar]);
        placed.buses.push({ bus: line.bus, x, y: bar, right });
        spots.push({ x, bar });
        y += SIZE.header;
      }
      const stub = line.bus ? { x: x + 6, y: y - 4 } : tap;
      line.assets.forEach(([id, asset], index) => {
        const middle = y + index * SIZE.row + SIZE.row / 2;
        placed.assets.push({ id, asset, x: x + 10, y: middle, right, stub: stub.x });
      });
      const last = placed.assets.at(-1)?.y;
      if (line.assets.length) placed.wires.push([stub.x, stub.y, stub.x, last]);
      y += line.assets.length * SIZE.row + SIZE.between;
    }
  });
  return y;
}
