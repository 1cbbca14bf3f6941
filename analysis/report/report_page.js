"use strict";
(() => {
  const make = (name, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };

  // ---- Values at the points of figures ----
  const tip = make("div", { id: "tip", role: "status", hidden: true });
  document.body.append(tip);
  const reach = 28;  // pixels

  const show = (svg, point) => {
    let ring = svg.querySelector(".ring");
    if (!point) {
      if (ring) ring.remove();
      tip.hidden = true;
      return;
    }
    if (!ring) {
      ring = document.createElementNS(svg.namespaceURI, "circle");
      ring.setAttribute("class", "ring");
      ring.setAttribute("r", 8);
      svg.append(ring);
    }
    ring.setAttribute("cx", point.x);
    ring.setAttribute("cy", point.y);
    tip.textContent = point.text;
    tip.hidden = false;
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    const frame = svg.getBoundingClientRect();
    const x = frame.left + point.x * scale, y = frame.top + point.y * scale;
    const size = tip.getBoundingClientRect();
    const room = { width: document.documentElement.clientWidth, height: window.innerHeight };
    const left = x + 14 + size.width < room.width ? x + 14 : x - 14 - size.width;
    const below = y + 14 + size.height < room.height ? y + 14 : y - 14 - size.height;
    tip.style.left = Math.max(4, Math.min(left, room.width - size.width - 4)) + "px";
    tip.style.top = Math.max(4, below) + "px";
  };

  for (const svg of document.querySelectorAll(".panel svg")) {
    // The browser's own hints would stand on top of these; without this script they are there.
    const points = [...svg.querySelectorAll(".p")].map((path) => {
      const [x, y] = path.getAttribute("d").slice(1).split(/[ a-zA-Z]/).map(Number);
      const title = path.querySelector("title");
      const text = title.textContent;
      title.remove();
      return { x, y, text, line: path.closest("g") };
    });
    points.sort((a, b) => a.x - b.x || b.y - a.y);
    let current = -1;
    const isShown = (point) => !point.line.classList.contains("off");
    const nearest = (event) => {
      const frame = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / frame.width;
      const x = (event.clientX - frame.left) * scale, y = (event.clientY - frame.top) * scale;
      let best = -1, distance = reach * scale;
      points.forEach((point, index) => {
        const d = Math.hypot(point.x - x, point.y - y);
        if (d < distance && isShown(point)) [best, distance] = [index, d];
      });
      return best;
    };
    const choose = (index) => {
      current = index;
      show(svg, points[index]);
    };
    for (const kind of ["pointermove", "pointerdown"]) {
      svg.addEventListener(kind, (event) => {
        const found = nearest(event);
        if (found !== current || found < 0) choose(found);
      });
    }
    for (const kind of ["pointerleave", "blur"]) svg.addEventListener(kind, () => choose(-1));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") choose(-1);
      if (!step) return;
      event.preventDefault();
      let next = current < 0 && step < 0 ? points.length - 1 : current + step;
      while (points[next] && !isShown(points[next])) next += step;
      if (points[next]) choose(next);
    });
  }

  for (const figure of document.querySelectorAll(".figure")) {
    figure.querySelectorAll(".legend button").forEach((button, index) => {
      const lines = figure.querySelectorAll(`.l[data-line="${index}"]`);
      const others = figure.querySelectorAll(`.l:not([data-line="${index}"])`);
      const stress = (on) => others.forEach((line) => line.classList.toggle("dim", on));
      button.title = "hide or show";
      button.addEventListener("click", () => {
        const hide = button.getAttribute("aria-pressed") === "true";
        button.setAttribute("aria-pressed", String(!hide));
        lines.forEach((line) => line.classList.toggle("off", hide));
        stress(false);
      });
      button.addEventListener("pointerenter", (event) => {
        const shown = button.getAttribute("aria-pressed") === "true";
        if (event.pointerType === "mouse" && shown) stress(true);
      });
      button.addEventListener("pointerleave", () => stress(false));
    });
  }

  // ---- The table of runs ----
  const data = JSON.parse(document.getElementById("run-data").textContent);
  const columns = data.columns, total = data.runs, rowsOnPage = 100;
  const collator = new Intl.Collator("en", { numeric: true });
  const number = (text) => (text.trim() === "" ? NaN : Number(text));
  const compareWords = (a, b) => {
    const x = number(a), y = number(b);
    return Number.isFinite(x) && Number.isFinite(y) && x !== y ? x - y : collator.compare(a, b);
  };
  const group = new Intl.NumberFormat("en");
  for (const column of columns) {
    if (column.words) {
      const order = column.words.map((_, i) => i).sort((a, b) => compareWords(column.words[a], column.words[b]));
      const places = [];
      order.forEach((word, place) => { places[word] = column.words[word] === "" ? null : place; });
      column.text = (run) => column.words[column.cells[run]];
      column.key = (run) => places[column.cells[run]];
      column.lower = column.words.map((word) => word.toLowerCase());
    } else {
      column.text = (run) => {
        const value = column.cells[run];
        if (value === null) return "";
        return column.digits < 0 ? group.format(value) : value.toFixed(column.digits);
      };
      column.key = (run) => column.cells[run];
    }
  }
  const named = Object.fromEntries(columns.map((column) => [column.name.toLowerCase(), column]));

  const controls = document.getElementById("run-controls");
  const box = make("input", { type: "search", id: "run-filter", autocomplete: "off", spellcheck: false,
                              placeholder: "words, or column=value" });
  controls.append(make("label", {}, ["Filter", box]));
  const choices = [];
  for (const name of ["task", "model", "method", "status"]) {
    const column = named[name];
    if (!column || column.words.length < 2 || column.words.length > 60) continue;
    const select = make("select", { id: "run-" + name }, [make("option", { value: "", textContent: "all" })]);
    [...column.words.keys()].sort((a, b) => compareWords(column.words[a], column.words[b]))
      .forEach((word) => select.append(make("option", { value: word, textContent: column.words[word] || "(none)" })));
    select.addEventListener("change", () => update());
    choices.push({ column, select });
    controls.append(make("label", {}, [name, select]));
  }

  const table = document.getElementById("runs");
  const head = table.tHead.insertRow(), body = table.tBodies[0];
  let sorted = null, ascending = true, found = [], page = 0;
  const heads = columns.map((column) => {
    const button = make("button", { type: "button", textContent: column.name });
    const cell = make("th", { scope: "col" }, [button]);
    if (!column.words) cell.className = "num";
    button.addEventListener("click", () => {
      ascending = sorted === column ? !ascending : true;
      sorted = column;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      update();
    });
    head.append(cell);
    return cell;
  });

  const matches = (word) => {
    const split = word.indexOf("="), column = split > 0 ? named[word.slice(0, split)] : undefined;
    if (column) {
      const wanted = word.slice(split + 1), value = number(wanted);
      return (run) => {
        const text = column.text(run).toLowerCase();
        if (text === wanted) return true;
        return column.words ? text !== "" && number(text) === value : column.cells[run] === value;
      };
    }
    const hits = columns.map((one) => one.lower && one.lower.map((text) => text.includes(word)));
    return (run) => columns.some((one, i) => (hits[i] ? hits[i][one.cells[run]] : one.text(run).includes(word)));
  };

  const status = document.getElementById("run-count");
  const previous = document.getElementById("run-previous"), next = document.getElementById("run-next");
  const render = () => {
    const first = page * rowsOnPage, end = Math.min(first + rowsOnPage, found.length);
    body.replaceChildren(...found.slice(first, end).map((run) => make("tr", {}, columns.map((column) => {
      const cell = make("td", { textContent: column.text(run) });
      if (!column.words) cell.className = "num";
      if (column.look) cell.className = column.look;
      if (column.name === "status" && cell.textContent !== "done") cell.className = "bad";
      return cell;
    }))));
    const shown = found.length ? `${group.format(first + 1)} to ${group.format(end)} of ` : "";
    status.textContent = shown + group.format(found.length) + (found.length === 1 ? " run" : " runs") +
      (found.length < total ? ` (of ${group.format(total)} in all)` : "");
    previous.disabled = page === 0;
    next.disabled = end >= found.length;
    previous.hidden = next.hidden = found.length <= rowsOnPage;
  };
  const update = () => {
    const tests = box.value.toLowerCase().split(/\s+/).filter(Boolean).map(matches);
    for (const { column, select } of choices) {
      if (select.value !== "") tests.push((run) => column.cells[run] === Number(select.value));
    }
    found = [];
    for (let run = 0; run < total; ++run) {
      if (tests.every((test) => test(run))) found.push(run);
    }
    if (sorted) {
      const sign = ascending ? 1 : -1, key = sorted.key;
      found.sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return sign * (x - y) || a - b;
      });
    }
    page = 0;
    render();
  };
  box.addEventListener("input", update);
  const turn = (by) => {
    page += by;
    render();
    table.parentElement.scrollTop = 0;
  };
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  update();

  // ---- Files of what is shown ----
  const save = (name, type, text) => {
    const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const saver = (label, what, action) => {
    const button = make("button", { type: "button", textContent: label, title: "save " + what });
    button.addEventListener("click", action);
    return button;
  };
  const pageName = document.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").toLowerCase() || "report";
  const field = (text) => (/[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
  const sheet = (rows) => rows.map((row) => row.map(field).join(",") + "\n").join("");

  /// The figure as one picture: its panels, headings and legend where and as they stand.
  const picture = (figure) => {
    const space = figure.querySelector("svg").namespaceURI;
    const frame = figure.getBoundingClientRect();
    const looks = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity",
                   "font-size", "font-family", "font-weight", "text-anchor"];
    const node = (name, attributes) => {
      const element = document.createElementNS(space, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      return element;
    };
    const placed = (svg) => {
      const copy = svg.cloneNode(true), own = svg.getBoundingClientRect();
      const from = [...svg.querySelectorAll("*")], to = [...copy.querySelectorAll("*")];
      from.forEach((element, i) => {
        const style = getComputedStyle(element);
        if (style.display === "none") to[i].setAttribute("display", "none");
        if (element.localName !== "g")
          for (const look of looks) to[i].setAttribute(look, style.getPropertyValue(look));
        else if (style.opacity !== "1") to[i].setAttribute("opacity", style.opacity);
        to[i].removeAttribute("class");
      });
      for (const ring of copy.querySelectorAll("circle")) ring.remove();
      for (const [key, value] of Object.entries({ x: own.left - frame.left, y: own.top - frame.top,
                                                  width: own.width, height: own.height }))
        copy.setAttribute(key, value);
      copy.removeAttribute("tabindex");
      return copy;
    };
    const words = (element, anchor) => {
      const range = document.createRange();
      range.selectNodeContents(element.lastChild);
      const own = range.getBoundingClientRect(), style = getComputedStyle(element);
      const text = node("text", { x: (anchor === "middle" ? own.left + own.width / 2 : own.left) - frame.left,
                                  y: own.bottom - frame.top - own.height * 0.25, "text-anchor": anchor,
                                  fill: style.color, "font-size": style.fontSize,
                                  "font-family": style.fontFamily, "font-weight": style.fontWeight });
      text.textContent = element.lastChild.textContent;
      return text;
    };
    const height = figure.querySelector("figcaption").getBoundingClientRect().top - frame.top;
    const whole = node("svg", { xmlns: space, viewBox: `0 0 ${frame.width} ${height}`,
                                width: frame.width, height });
    const title = node("title", {}), note = node("desc", {});
    title.textContent = figure.querySelector("h3").textContent;
    note.textContent = figure.querySelector("figcaption").textContent;
    const paper = getComputedStyle(document.body).backgroundColor;
    whole.append(title, note, node("rect", { width: frame.width, height, fill: paper }));
    whole.append(words(figure.querySelector("h3"), "start"));
    for (const button of figure.querySelectorAll(".legend button[aria-pressed=true]"))
      whole.append(placed(button.querySelector("svg")), words(button, "start"));
    for (const panel of figure.querySelectorAll(".panel"))
      whole.append(words(panel.querySelector("h4"), "middle"), placed(panel.querySelector("svg")));
    return new XMLSerializer().serializeToString(whole);
  };

  for (const values of document.querySelectorAll("script.values")) {
    const figure = values.closest("figure");
    const name = pageName + "-" + (figure ? figure.id.replace(/^figure-/, "") : "scores");
    const buttons = make("div", { className: "controls saves" });
    buttons.append(saver("CSV", "these values", () => save(name + ".csv", "text/csv", JSON.parse(values.textContent))));
    if (figure)
      buttons.append(saver("SVG", "this picture", () => save(name + ".svg", "image/svg+xml", picture(figure))));
    values.before(buttons);
  }
  document.querySelector(".pages").append(saver("CSV", "these runs", () =>
    save(pageName + "-runs.csv", "text/csv",
         sheet([columns.map((column) => column.name),
                ...found.map((run) => columns.map((column) => (column.words || column.cells[run] === null
                  ? column.text(run) : String(column.cells[run]))))]))));
})();
