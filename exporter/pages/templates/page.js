"use strict";
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], rows = [...body.rows], few = innerWidth > 700 ? 25 : 10;
  let shown = few, wanted = "";
  const tools = document.createElement("div"), more = document.createElement("button"), field = document.createElement("input");
  const update = () => {
    const found = [...body.rows].filter(row => row.textContent.toLowerCase().includes(wanted));
    for (const row of body.rows) row.hidden = true;
    found.forEach((row, i) => { row.hidden = i >= shown; });
    const left = found.length - shown;
    more.hidden = left <= 0 && shown === few;
    more.textContent = left > 0 ? `Show all ${found.length} ${table.dataset.name}` : `Show ${few} only`;
  };
  if (rows.length > few) {
    tools.className = "tools";
    more.type = "button";
    more.addEventListener("click", () => { shown = shown === few ? Infinity : few; update(); });
    field.type = "search";
    field.placeholder = `Find among ${rows.length} ${table.dataset.name}`;
    field.setAttribute("aria-label", field.placeholder);
    field.addEventListener("input", () => { wanted = field.value.toLowerCase(); update(); });
    tools.append(field);
    table.before(tools);
    table.after(Object.assign(document.createElement("div"), {className: "tools"}));
    table.nextElementSibling.append(more);
    update();
  }
  const heads = [...table.tHead.rows[0].cells];
  for (const row of rows) heads.forEach((head, column) => { row.cells[column].dataset.head = head.textContent; });
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const values = new Map(rows.map(row => [row, row.cells[column]]));
    const compare = (a, b) => {
      const [x, y] = [values.get(a), values.get(b)];
      const [empty, other] = [x.classList.contains("empty"), y.classList.contains("empty")];
      if (empty || other) return empty - other;
      const numbers = x.classList.contains("number") && y.classList.contains("number");
      const order = numbers ? Number(x.dataset.value) - Number(y.dataset.value) || 0
        : x.textContent.localeCompare(y.textContent, "en", {numeric: true});
      return down ? -order : order;
    };
    body.append(...rows.slice().sort(compare));
    if (rows.length > few) update();
  }));
}
