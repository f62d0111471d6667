// Tables that sort and filter, and figures at full size. Nothing here asks the network for anything, but for
// a page that `vitan view` serves, which asks that server whether the folder has changed.

/** @typedef {{name: string, filter: boolean, words?: string[], values: (number | string | null)[]}} Column */

const STEP = 100;

/**
 * @param {string} tag
 * @param {Record<string, any>} properties
 * @param {(Node | string)[]} inner
 */
function make(tag, properties = {}, ...inner) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inner);
  return element;
}

/** Orders numbers by size, words by the alphabet, and what is missing last, whichever way. */
function compare(a, b, way) {
  const none = (value) => value === null || value === "" || Number.isNaN(value);
  if (none(a) || none(b)) return Number(none(a)) - Number(none(b));
  if (typeof a === "number" && typeof b === "number") return way * (a - b);
  return way * String(a).localeCompare(String(b), "en", { numeric: true });
}

/** Makes the pressed head the one that sorts, and returns 1 for upwards or -1. */
function turn(head) {
  const way = head.ariaSort === "ascending" ? -1 : 1;
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
  return way;
}

/** A table of the page, sorted by moving its rows. */
function sortable(table) {
  const text = (row, index) => row.cells[index].title || row.cells[index].textContent;
  const value = (row, index) => {
    const said = text(row, index).split(" [")[0];
    return said !== "" && !Number.isNaN(Number(said)) ? Number(said) : said === "nan" ? null : said;
  };
  table.tHead.addEventListener("click", ({ target }) => {
    const head = target.closest("th");
    if (!target.closest("button")) return;
    const way = turn(head);
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(value(a, head.cellIndex), value(b, head.cellIndex), way));
    table.tBodies[0].append(...rows);
  });
}

/** The values that a column has, each with what is said for it, in order. @param {Column} column */
function kinds(column) {
  const values = column.words ? column.words.map((_, code) => code) : [...new Set(column.values)].sort((a, b) => compare(a, b, 1));
  return values.map((value) => [value, column.words ? column.words[value] : value === null ? "" : String(value)]);
}

/** All numbers: one select for each column that filters, a search over all words, and as many rows as are asked for. */
class Numbers {
  /** @param {HTMLElement} place @param {Column[]} columns */
  constructor(place, columns) {
    this.columns = columns;
    this.total = columns.length ? columns[0].values.length : 0;
    this.order = Array.from({ length: this.total }, (_, row) => row);
    this.shown = STEP;
    this.chosen = new Map();
    this.told = make("p", { className: "told", role: "status" });
    this.body = make("tbody");
    this.more = make("button", { type: "button", className: "plain", textContent: `Show ${STEP} more`, onclick: () => this.grow() });
    const scroll = make("div", { className: "scroll", role: "region", tabIndex: 0, ariaLabel: "Table of all numbers" },
      make("table", {}, make("caption", { textContent: "One row for each value" }), this.heads(), this.body));
    place.append(this.filters(), this.told, scroll, this.more);
    this.show();
  }

  text(column, row) {
    const value = column.values[row];
    return value === null ? "" : column.words ? column.words[value] : value;
  }

  filters() {
    const bar = make("div", { className: "filters" });
    for (const column of this.columns.filter(({ filter }) => filter)) {
      const options = kinds(column).map(([value, said]) => make("option", { value: String(value), textContent: said || "(none)" }));
      const select = make("select", { onchange: () => this.choose(column, select.value) }, make("option", { value: "", textContent: "all" }), ...options);
      bar.append(make("label", {}, column.name, select));
    }
    const search = make("input", { type: "search", oninput: () => this.seek(search.value) });
    bar.append(make("label", {}, "any word", search));
    return bar;
  }

  choose(column, value) {
    if (value === "") this.chosen.delete(column);
    else this.chosen.set(column, value);
    this.again();
  }

  seek(words) {
    this.words = words.toLowerCase().split(/\s+/).filter(Boolean);
    this.again();
  }

  heads() {
    const row = make("tr");
    this.columns.forEach((column) => {
      const head = make("th", { scope: "col" });
      const press = () => { const way = turn(head); this.order.sort((a, b) => compare(this.text(column, a), this.text(column, b), way)); this.again(); };
      head.append(make("button", { type: "button", onclick: press }, column.name, make("span", { ariaHidden: "true" })));
      row.append(head);
    });
    return make("thead", {}, row);
  }

  matches(row) {
    for (const [column, value] of this.chosen) if (String(column.values[row]) !== value) return false;
    if (!this.words?.length) return true;
    const said = this.columns.filter(({ words }) => words).map((column) => this.text(column, row)).join(" ").toLowerCase();
    return this.words.every((word) => said.includes(word));
  }

  again() { this.shown = STEP; this.show(); }

  grow() { this.shown += STEP; this.show(); }

  show() {
    const rows = this.order.filter((row) => this.matches(row));
    this.body.replaceChildren(...rows.slice(0, this.shown).map((row) => this.row(row)));
    this.told.textContent = `${Math.min(this.shown, rows.length)} of ${rows.length} rows shown, of ${this.total} in all`;
    this.more.hidden = rows.length <= this.shown;
  }

  row(row) {
    const cells = this.columns.map((column) => {
      const value = this.text(column, row);
      if (column.words) return make("td", { textContent: value });
      const short = typeof value === "number" ? String(Number(value.toPrecision(5))) : value;
      return make("td", { className: "number", textContent: short, title: String(value) });
    });
    return make("tr", {}, ...cells);
  }
}

/** Figures grow when they are pressed. */
function enlarging(dialog) {
  const image = dialog.querySelector("img");
  for (const button of document.querySelectorAll("figure button")) {
    button.addEventListener("click", () => {
      const small = button.querySelector("img");
      Object.assign(image, { src: small.src, alt: small.alt });
      dialog.showModal();
    });
  }
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
}

/** Reloads when the served folder is no longer in the state that the page shows. */
function follow(state) {
  setInterval(async () => {
    try {
      const now = await (await fetch("/.state")).text();
      if (now !== state && !document.querySelector("dialog[open]")) location.reload();
    } catch { /* the server has ended; what is shown stays */ }
  }, 2000);
}

document.querySelectorAll("table[data-sorts]").forEach(sortable);
const data = document.getElementById("numbers");
if (data) new Numbers(document.getElementById("explore"), JSON.parse(data.textContent));
const dialog = document.getElementById("figure");
if (dialog) enlarging(dialog);
const { state } = document.documentElement.dataset;
if (state) follow(state);
