/** Where the labels of arrows stand: in their middle, or beside it where two would meet. */

const PLACES = [0.5, 0.36, 0.64, 0.24, 0.76]; // along the arrow, the best first
const LETTER = 6; // width of a letter of the labels' size
const LINE = 16; // and the height of their line

const meet = (a, b) => a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;

/** Move labels along their arrows until none lies on another or on an operator. */
export function partLabels(cy) {
  if (cy.destroyed()) return;
  const seen = cy.edges(".said, .several").filter((edge) => edge.data("label") && Number.isFinite(edge.midpoint()?.x));
  if (seen.empty()) return;
  const operators = cy.nodes().filter((node) => !node.isParent()).map((node) => node.boundingBox({ includeLabels: false, includeOverlays: false }));
  const labels = seen.map((edge) => ({ edge, ways: ways(edge) }));
  const middles = labels.map((label) => label.ways[0]);
  const placed = [];
  cy.batch(() => labels.forEach(({ edge, ways }, at) => {
    const lone = !middles.some((other, index) => index !== at && meet(other, ways[0]));
    const tried = lone ? ways.slice(0, 1) : ways.slice(1);
    const free = tried.find((way) => ![...placed, ...operators].some((other) => meet(way, other)));
    const { x, y, ...box } = free ?? tried.find((way) => !placed.some((other) => meet(way, other))) ?? ways[0];
    placed.push(box);
    edge.style({ "text-margin-x": x, "text-margin-y": y });
  }));
}

/** Boxes a label may fill, each with its distance from the middle: there, where arrows that cross
 * there are still apart, and elsewhere along the arrow. */
function ways(edge) {
  const [middle, from, to] = [edge.midpoint(), edge.sourceEndpoint(), edge.targetEndpoint()];
  const [w, h] = [(edge.data("label").length * LETTER) / 2, LINE / 2];
  const way = (x, y) => ({ x, y, x1: middle.x + x - w, x2: middle.x + x + w, y1: middle.y + y - h, y2: middle.y + y + h });
  const along = PLACES.map((place) => way((place - 0.5) * (to.x - from.x), (place - 0.5) * (to.y - from.y)));
  const start = way((PLACES[1] - 0.5) * (to.x - from.x), (Math.sign(from.y - to.y) * (LINE + 1)) / 2);
  return [along[0], start, ...along];
}
