"""The report: what is on the page, and that a browser shows it well, on a phone and on a desk, light and dark."""

import json
import re
import subprocess
from html.parser import HTMLParser

import pytest

from tests.cli.command import bnnt, refused
from tests.tools import needs, needs_qemu

needs_chromium = needs("chromium", "chromium")
VOID = {"meta", "link", "img", "br", "use", "path", "rect", "line"}


@pytest.fixture(scope="module")
def page(work, tmp_path_factory):
    """The report of the run, with a benchmark of this machine."""
    folder = tmp_path_factory.mktemp("report")
    process = bnnt("bench", work / "bundle", "--engine", "onnxruntime", "--json")
    assert process.returncode == 0, process.stderr
    (folder / "local.json").write_text(process.stdout)
    process = bnnt("report", work / "run", work / "bundle", folder / "local.json", "--out", folder / "report.html")
    assert process.returncode == 0, process.stderr
    return folder / "report.html"


class Reader(HTMLParser):
    """Every tag is closed by its own; what is asked for from elsewhere is noted."""

    def __init__(self):
        super().__init__()
        self.open, self.asked, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.asked += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.asked += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.open == []
    return reader


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(page):
    reader = read(page)
    assert all(address.startswith(("data:", "#")) for address in reader.asked)
    text = page.read_text()
    assert "<script" not in text and "@import" not in text and not re.search(r"url\((?!#)", text)


def test_the_page_says_what_was_found(page, work):
    words = " ".join(" ".join(read(page).text).split())
    manifest = json.loads((work / "bundle" / "manifest.json").read_text())
    benchmark = json.loads((page.parent / "local.json").read_text())
    assert f"{100 * manifest['accuracy']['correct'] / manifest['accuracy']['images']:.2f} %" in words
    assert f"{benchmark['timings'][0]['wall']['median'] * 1e6:,.1f} µs" in words
    for part in (
        "native",
        "onnxruntime",
        "torch",
        "agrees",
        "BinaryConv2dMaxPoolThreshold",
        "bnnt export",
        "bnnt bench",
    ):
        assert part in words, part
    wrong = manifest["accuracy"]["images"] - manifest["accuracy"]["correct"]
    assert f"{wrong} of 1,000 test images are classified wrongly" in words


def test_names_are_text_and_never_markup(work, tmp_path):
    """The page of a bundle in a folder with a hostile name."""
    named = tmp_path / "<script>alert(1)"
    named.symlink_to(work / "bundle", target_is_directory=True)
    process = bnnt("report", work / "run", named, "--out", tmp_path / "r.html")
    assert process.returncode == 0, process.stderr
    text = (tmp_path / "r.html").read_text()
    assert "<script" not in text and "&lt;script&gt;" in text


def browse(page, *options, dump=True):
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
    ]
    command += [f"--user-data-dir={page.parent / 'profile'}", *options, *(["--dump-dom"] if dump else [])]
    done = subprocess.run([*command, f"file://{page}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it(page, width, dark):
    """No console error, nothing to scroll sideways, ink that stands out from the page; a copy measures itself."""
    script = (
        "<script>const style = getComputedStyle(document.body), tick = document.querySelector('svg text');"
        "parent.postMessage(JSON.stringify([innerWidth, document.documentElement.scrollWidth, style.color, "
        "style.backgroundColor, getComputedStyle(tick).fill, [...document.images].every(i => i.naturalWidth)]), '*');"
        "</script></body>"
    )
    inside, copy = (page.with_name(f"{name}-{width}-{dark}.html") for name in ("inside", "copy"))
    inside.write_text(page.read_text().replace("</body>", script))
    # A window has at least 500 pixels, a frame has as many as it is given.
    copy.write_text(
        "<!doctype html><body><script>onmessage = event => document.body.dataset.found = event.data</script>"
        f'<iframe src="{inside.name}" style="border: 0; width: {width}px; height: 900px"></iframe></body>'
    )
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else ["--blink-settings=preferredColorScheme=1"]
    done = browse(copy, "--window-size=1400,900", "--virtual-time-budget=5000", *scheme)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'data-found="([^"]*)"', done.stdout)[1].replace("&quot;", '"')
    inner, scroll, ink, paper, tick, pictures = json.loads(found)
    assert inner == width and scroll <= inner and pictures
    bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper, tick)]
    assert (bright[1] < 150 and min(bright[0], bright[2]) > 600) if dark else (bright[1] > 600 and bright[0] < 150)
    assert bright[2] == bright[0]


@needs_chromium
def test_it_prints(page):
    target = page.with_suffix(".pdf")
    browse(page, f"--print-to-pdf={target}", dump=False)
    assert target.read_bytes().startswith(b"%PDF") and target.stat().st_size > 20_000


@needs_qemu
def test_devices_and_a_float_twin_stand_beside_it(work, tmp_path):
    """A run of the same network in float, by two settings; and an emulated board."""
    settings = ("--set", "model.weights=float", "--set", "model.activation=relu", "--set", "epochs=1")
    process = bnnt("train", "recipe.yaml", *settings, "--out", tmp_path / "float", cwd=work)
    assert process.returncode == 0, process.stderr
    options = ("--float", tmp_path / "float", "--on", "qemu:cortex-a72", "--on", "moon", "--out", tmp_path / "r.html")
    process = bnnt("report", work / "run", work / "bundle", *options)
    assert process.returncode == 0, process.stderr
    words = " ".join(" ".join(read(tmp_path / "r.html").text).split())
    assert "the same in float" in words and "qemu:cortex-a72" in words
    assert "native on moon was not compared: no device is called 'moon'" in words


def test_what_does_not_belong_together_is_refused(work, page, tmp_path):
    refused(bnnt("report", tmp_path, work / "bundle"), 2, "is no run folder")
    refused(bnnt("report", work / "run", tmp_path), 2, "is not a bundle")
    (tmp_path / "x.json").write_text("{}")
    refused(bnnt("report", work / "run", work / "bundle", tmp_path / "x.json"), 2, "x.json is no benchmark")
    other = json.loads((page.parent / "local.json").read_text())
    other["profile"] = other["profile"][1:]
    (tmp_path / "x.json").write_text(json.dumps(other))
    refused(bnnt("report", work / "run", work / "bundle", tmp_path / "x.json"), 2, "times another network")
