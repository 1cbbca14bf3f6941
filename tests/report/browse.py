#!/usr/bin/env python3
"""browse.py check BROWSER RANKFOLD: makes results whose names hold markup, their report, and uses the
page as a reader does. browse.py time BROWSER PAGE: how long it takes to open. browse.py pictures
BROWSER PAGE DIR: screenshots of it, to be looked at."""
import csv
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from browser import Browser

MARKUP = "<img src=x onerror=pwned=1>&amp;</script><script>pwned=1</script><!--"
TITLE = "Café </title><b>& \"quotes\""


def write_runs(folder):
    def write(name, method, rank, seed, score, **more):
        path = folder / name
        path.mkdir(parents=True)
        run = {"settings": {"model": "models/" + MARKUP.replace("/", ""), "task": "tweets, \"all\"",
                            "method": method, "rank": rank, "seed": seed, "lr": 0.001,
                            "note\u2028": MARKUP, "threads": 1},
               "status": "done", "parameters": {"adapter": 1000 * rank, "trainable": 1000 * rank + 5,
                                                "total": 10 ** 6},
               "scores": {"accuracy": score}, "train_seconds": 10.0 * rank + seed,
               "peak_memory_mib": 100.0, "tokens_per_second": 9.0, "adapted_layers": 2,
               "machine": "machine " + MARKUP, "versions": {"rankfold": MARKUP}}
        run.update(more)
        (path / "run.json").write_text(json.dumps(run))

    for rank in (2, 4, 16):
        for seed in (1, 2, 3):
            write(f"lora {rank} {seed}", "lora", rank, seed, 0.5 + rank / 100 + seed / 1000)
            write(f"<b id=folder>{rank} {seed}", MARKUP, rank, seed, 0.4 + rank / 100)
    write("diverged", "lora", 4, 4, 0.5, status="diverged", scores={}, error="NaN " + MARKUP)
    write("failed", "lora", 4, 5, 0.5, status="failed", scores={}, error="no memory")
    broken = folder / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{ <script>pwned=1</script>")
    listed = [{"folder": "later", "settings": {"method": "lora", "task": "tweets", "seed": 9}}]
    (folder / "sweep.json").write_text(json.dumps({"kind": "train", "runs": listed}))


def column(browser, name):
    """The texts of a column of the table of runs."""
    return browser.run(f"""(() => {{
      const heads = [...document.querySelectorAll('#runs th')].map(th => th.textContent);
      const at = heads.indexOf({json.dumps(name)});
      return [...document.querySelectorAll('#runs tbody tr')].map(row => row.cells[at].textContent);
    }})()""")


def click_head(browser, name):
    return browser.run(f"""(() => {{
      const head = [...document.querySelectorAll('#runs th')].find(th => th.textContent === {json.dumps(name)});
      head.querySelector('button').click();
      return head.getAttribute('aria-sort');
    }})()""")


def check_table(browser):
    assert len(column(browser, "task")) == 22, column(browser, "task")
    assert click_head(browser, "score") == "ascending"
    scores = column(browser, "score")
    numbers = [float(score) for score in scores if score]
    assert numbers == sorted(numbers) and len(numbers) == 18, scores
    assert scores[18:] == [""] * 4, scores  # without a score: last in both directions
    assert click_head(browser, "score") == "descending"
    scores = column(browser, "score")
    assert [float(score) for score in scores[:18]] == numbers[::-1] and scores[18:] == [""] * 4
    click_head(browser, "rank")
    assert [rank for rank in column(browser, "rank") if rank] == \
        ["2"] * 6 + ["4"] * 8 + ["16"] * 6, column(browser, "rank")
    assert browser.run("document.querySelectorAll('#runs th[aria-sort]').length") == 1

    def wanted(text):
        browser.run("document.getElementById('run-filter').focus();"
                    "document.getElementById('run-filter').select()")
        browser.call("Input.insertText", text=text)
        return len(column(browser, "task")), browser.run(
            "document.getElementById('run-count').textContent")

    assert wanted("rank=16 <B") == (3, "1 to 3 of 3 runs (of 22 in all)"), wanted("rank=16 <B")
    assert wanted("seed=1 LORA")[0] == 3
    assert wanted("no such word") == (0, "0 runs (of 22 in all)")
    browser.run("document.getElementById('run-filter').value = ''")
    status = "document.getElementById('run-status')"
    browser.run(f"{status}.value = [...{status}.options].find(o => o.textContent === 'diverged').value;"
                f"{status}.dispatchEvent(new Event('change'))")
    assert column(browser, "status") == ["diverged"]
    assert column(browser, "reason") == ["NaN " + MARKUP]
    browser.run(f"{status}.value = ''; {status}.dispatchEvent(new Event('change'))")
    assert len(column(browser, "task")) == 22


def check_points(browser):
    place = browser.run("""(() => {
      const svg = document.querySelector('.panel svg');
      svg.scrollIntoView({block: 'center'});
      const box = svg.querySelector('.l .p:not(.d)').getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    })()""")
    browser.point_at(*place)
    tip = "(document.getElementById('tip').hidden ? '' : document.getElementById('tip').innerText)"
    text = browser.run(tip)
    for part in ("lora", "rank 2", "2,000 adapter parameters, 2,005 trainable", "accuracy, %: 52.2",
                 "95% interval 51.9", "3 runs, 0 diverged"):
        assert part in text, text
    browser.point_at(1, 1)
    assert browser.run(tip) == ""
    browser.run("document.querySelector('.panel svg').focus()")
    seen = set()
    for _ in range(30):
        browser.press("ArrowRight")
        seen.add(browser.run(tip))
    assert any(MARKUP in text for text in seen) and any("1 diverged" in text for text in seen), seen
    browser.press("Escape")
    assert browser.run(tip) == ""
    # A click on a name in the legend hides its line and shows it again.
    hidden = "document.querySelectorAll('.figure .l.off').length"
    browser.run("document.querySelector('.legend button').click()")
    assert browser.run(hidden) > 0
    browser.run("document.querySelector('.legend button').click()")
    assert browser.run(hidden) == 0


CONTRAST = """(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light(getComputedStyle(document.body).backgroundColor);
  return ['body', '.soft', 'a', '.bad', '.panel svg text', 'figcaption'].map(selector => {
    const style = getComputedStyle(document.querySelector(selector));
    const ink = light(selector.includes('svg') ? style.fill : style.color);
    return [selector, (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05)];
  });
})()"""


def check_appearance(browser):
    for dark in (False, True):
        browser.device(1280, 900, dark=dark)
        background = browser.run("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") != dark, background
        for selector, contrast in browser.run(CONTRAST):
            assert contrast >= 4.5, (dark, selector, contrast)
    for width in (320, 390, 768):
        browser.device(width, 800, mobile=True)
        wide = browser.run("document.scrollingElement.scrollWidth")
        assert wide <= width, f"{wide} pixels wide on a screen of {width}"
    browser.device(1280, 900)


def saved(browser, selector):
    """The file that a click on a button makes: its name and text."""
    return browser.run(f"""(async () => {{
      const make = URL.createObjectURL, click = HTMLAnchorElement.prototype.click;
      let content, name;
      URL.createObjectURL = (blob) => {{ content = blob; return make.call(URL, blob); }};
      HTMLAnchorElement.prototype.click = function () {{ name = this.download; }};
      document.querySelector({json.dumps(selector)}).click();
      URL.createObjectURL = make;
      HTMLAnchorElement.prototype.click = click;
      return [name, await content.text()];
    }})()""")


def check_files(browser):
    name, text = saved(browser, "#figure-parameter-efficiency .saves button")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert name.endswith("parameter-efficiency.csv"), name
    assert {row["method"] for row in rows} == {"lora", MARKUP}, rows
    assert [row["mean"] for row in rows if row["method"] == "lora"][0] == "52.2", rows
    name, text = saved(browser, "#figure-parameter-efficiency .saves button + button")
    picture = xml.etree.ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert name.endswith("parameter-efficiency.svg") and picture.tag == space + "svg", name
    panels = browser.run("document.querySelectorAll('#figure-parameter-efficiency .panel').length")
    legend = browser.run("document.querySelectorAll('#figure-parameter-efficiency .legend li').length")
    assert len(picture.findall(space + "svg")) == panels + legend
    assert all(shape.get("stroke") for shape in picture.iter(space + "path"))
    assert "lora" in [text.text for text in picture.iter(space + "text")]
    name, text = saved(browser, "#scores ~ .saves button")
    assert [row["runs"] for row in csv.DictReader(io.StringIO(text))][0] == "3", text
    name, text = saved(browser, ".pages button:last-child")
    shown = int(browser.run("document.getElementById('run-count').textContent.split(' of ')[1].split(' ')[0]"))
    assert len(list(csv.DictReader(io.StringIO(text)))) == shown, text


def check_page(browser, page):
    browser.device(1280, 900)
    browser.open(page.as_uri())
    assert browser.complaints() == [], browser.complaints()
    assert browser.requests() == [page.as_uri()] or all(
        url == page.as_uri() or url.startswith("data:") for url in browser.requests())
    assert browser.run("document.title") == TITLE
    assert browser.run("document.querySelector('h1').textContent") == TITLE
    assert browser.run("typeof pwned") == "undefined"
    assert browser.run("document.querySelectorAll('img, #folder, h1 b').length") == 0
    assert browser.run("document.querySelectorAll('[id]').length === "
                       "new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size")
    check_table(browser)
    check_points(browser)
    check_files(browser)
    check_appearance(browser)
    assert browser.complaints() == [], browser.complaints()
    # The policy keeps out what is not the page's own.
    browser.run("document.body.append(Object.assign(document.createElement('script'), {text: 'pwned=1'}))")
    assert browser.run("typeof pwned") == "undefined"


def main():
    what, program = sys.argv[1:3]
    browser = Browser(program)
    try:
        if what == "check":
            with tempfile.TemporaryDirectory() as folder:
                results, page = pathlib.Path(folder) / "results", pathlib.Path(folder) / "page.html"
                write_runs(results)
                subprocess.run([sys.argv[3], "report", results, "--out", page, "--title", TITLE],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                check_page(browser, page)
            print("the page works in", browser.call("Browser.getVersion")["product"])
        elif what == "time":
            page = pathlib.Path(sys.argv[3]).resolve().as_uri()
            seconds = [browser.open(page) for _ in range(5)]
            print("open, s:", " ".join(f"{one:.2f}" for one in seconds))
            sort = """(() => { const begin = performance.now();
                document.querySelector('#runs th:last-child button').click();
                return performance.now() - begin; })()"""
            print(f"sort, ms: {browser.run(sort):.0f}")
        else:
            page, folder = pathlib.Path(sys.argv[3]).resolve().as_uri(), pathlib.Path(sys.argv[4])
            folder.mkdir(parents=True, exist_ok=True)
            for name, width, dark, mobile in (("desktop-light", 1280, False, False),
                                              ("desktop-dark", 1280, True, False),
                                              ("phone-light", 390, False, True),
                                              ("phone-dark", 390, True, True)):
                browser.device(width, 844 if mobile else 900, dark, mobile)
                browser.open(page)
                browser.screenshot(folder / (name + ".png"), whole=True)
            browser.device(1280, 900)
            browser.pdf(folder / "print.pdf")
    finally:
        browser.close()


main()
