
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const table = document.querySelector("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((head) => head.querySelector(".name").textContent);
  const tools = byId("tools"), find = byId("find"), environment = byId("environment");
  const boxes = [...tools.querySelectorAll("input[type=checkbox]")];

  // What filters and sorting go by, read once.
  const rows = [...body.rows].map((row, place) => {
    const [head, ...cells] = row.cells;
    const tags = [...row.querySelectorAll("code")].map((one) => one.textContent + " " + one.title);
    return {
      row, place, cells,
      text: [...head.children, ...tags].map((one) => one.textContent ?? one).join(" ").toLowerCase(),
      is: cells.map((cell) => (cell.dataset.is ?? "").split(" ")),
      used: cells.map((cell) => "is" in cell.dataset),
      since: cells.map((cell) => ("since" in cell.dataset ? Number(cell.dataset.since) : null)),
    };
  });

  let sorted = { column: 0, reverse: false };
  let column = "";

  function wanted(one, words, flags) {
    if (!words.every((word) => one.text.includes(word))) return false;
    if (column !== "" && !one.used[column]) return false;
    const looked = column === "" ? one.is : [one.is[column]];
    return flags.every((flag) => looked.some((is) => is.includes(flag)));
  }

  function show() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const flags = boxes.filter((box) => box.checked).map((box) => box.value);
    let count = 0;
    for (const one of rows) {
      const hidden = !wanted(one, words, flags);
      if (one.row.hidden !== hidden) one.row.hidden = hidden;
      if (!hidden) count += 1;
    }
    byId("none").hidden = count > 0;
    const images = `${rows.length} image${rows.length === 1 ? "" : "s"}`;
    byId("shown").textContent = `${count === rows.length ? "All" : `${count} of`} ${images} shown, ${order()}.`;
  }

  function only() {
    column = environment.value === "" ? "" : Number(environment.value);
    const hides = (number) => column !== "" && number !== column;
    heads.slice(1).forEach((head, number) => { head.hidden = hides(number); });
    for (const one of rows) one.cells.forEach((cell, number) => { cell.hidden = hides(number); });
    show();
  }

  function order() {
    if (sorted.column === 0) return `by app, ${sorted.reverse ? "Z to A" : "A to Z"}`;
    return `by change in ${names[sorted.column]}, ${sorted.reverse ? "newest" : "oldest"} first`;
  }

  // The server's order is the order by app; unknown times stand last either way.
  function compare(a, b) {
    const sign = sorted.reverse ? -1 : 1;
    if (sorted.column === 0) return sign * (a.place - b.place);
    const [left, right] = [a.since[sorted.column - 1], b.since[sorted.column - 1]];
    if (left === null || right === null) return (left === null) - (right === null) || a.place - b.place;
    return sign * (left - right) || a.place - b.place;
  }

  function sort(number) {
    const reverse = sorted.column === number ? !sorted.reverse : number > 0;
    sorted = { column: number, reverse };
    heads.forEach((head, at) => {
      if (at === number) head.setAttribute("aria-sort", reverse ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.append(...[...rows].sort(compare).map((one) => one.row));
    show();
  }

  heads.forEach((head, number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = number === 0 ? "Sort by app" : `Sort by when ${names[number]} changed`;
    const name = head.querySelector(".name");
    button.append(...name.childNodes);
    name.append(button);
    button.addEventListener("click", () => sort(number));
  });
  find.addEventListener("input", show);
  environment.addEventListener("change", only);
  boxes.forEach((box) => box.addEventListener("change", show));
  tools.addEventListener("submit", (event) => event.preventDefault());

  const made = new Date(byId("made").dateTime);
  const local = made.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  byId("local").textContent = ` (${local} here)`;
  tools.hidden = false;
  only(); // a reload keeps what was chosen
})();
