// What a timeline is drawn with: the same few strokes on a canvas and as SVG.

/** What a drawing is made of, on a canvas. */
export class CanvasPen {
  constructor(context, font) {
    this.context = context;
    this.font = font;
  }
  rect(x, y, width, height, fill, alpha = 1) {
    const { context } = this;
    context.globalAlpha = alpha;
    context.fillStyle = fill;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 1;
  }
  frame(x, y, width, height, colour, thick) {
    this.context.strokeStyle = colour;
    this.context.lineWidth = thick;
    this.context.setLineDash([]);
    this.context.strokeRect(x, y, width, height);
  }
  line(points, colour, thick, dash = []) {
    const { context } = this;
    context.strokeStyle = colour;
    context.lineWidth = thick;
    context.setLineDash(dash);
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  }
  text(words, x, y, size, colour, { align = "left", bold = false, alpha = 1 } = {}) {
    const { context } = this;
    context.globalAlpha = alpha;
    context.font = `${bold ? 600 : 400} ${size}px ${this.font}`;
    context.fillStyle = colour;
    context.textAlign = align;
    context.textBaseline = "alphabetic";
    context.fillText(words, x, y);
    context.globalAlpha = 1;
  }
  clip(x, y, width, height) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(x, y, width, height);
    this.context.clip();
  }
  unclip() {
    this.context.restore();
  }
}

/** The same as SVG. */
export class SvgPen {
  constructor(font) {
    this.font = font.replaceAll('"', "'");
    this.parts = [];
    this.clips = 0;
  }
  rect(x, y, width, height, fill, alpha = 1) {
    this.parts.push(`<rect${at(x, y, width, height)} fill="${fill}"${faint(alpha)}/>`);
  }
  frame(x, y, width, height, colour, thick) {
    this.parts.push(`<rect${at(x, y, width, height)} fill="none" stroke="${colour}" stroke-width="${thick}"/>`);
  }
  line(points, colour, thick, dash = []) {
    const dashed = dash.length ? ` stroke-dasharray="${dash}"` : "";
    const path = points.map(([x, y]) => `${short(x)},${short(y)}`).join(" ");
    this.parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${thick}"${dashed}/>`);
  }
  text(words, x, y, size, colour, { align = "left", bold = false, alpha = 1 } = {}) {
    const anchor = { left: "start", center: "middle", right: "end" }[align];
    const said = String(words).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    this.parts.push(
      `<text x="${short(x)}" y="${short(y)}" font-size="${short(size)}" fill="${colour}" ` +
        `text-anchor="${anchor}"${bold ? ' font-weight="600"' : ""}${faint(alpha)}>${said}</text>`,
    );
  }
  clip(x, y, width, height) {
    this.clips += 1;
    this.parts.push(
      `<clipPath id="c${this.clips}"><rect${at(x, y, width, height)}/></clipPath>` +
        `<g clip-path="url(#c${this.clips})">`,
    );
  }
  unclip() {
    this.parts.push("</g>");
  }
  file(width, height) {
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
      `viewBox="0 0 ${width} ${height}" font-family="${this.font}">${this.parts.join("")}</svg>`
    );
  }
}

const short = (value) => Number(value.toFixed(2));
const faint = (alpha) => (alpha < 1 ? ` opacity="${alpha}"` : "");
const at = (x, y, width, height) =>
  ` x="${short(x)}" y="${short(y)}" width="${short(Math.max(0, width))}" height="${short(Math.max(0, height))}"`;
