"""The page in a browser without a screen: it draws, asks for nothing, and follows the mouse."""

import dataclasses
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from hmor_d2.visualization import person_colour, write_page
from tests.visualization.page_people import SKELETON, make_frame

pytest.importorskip("plotly")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ARGUMENTS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
CAMERA = "document.getElementById('space')._fullLayout.scene._scene.getCamera()"
EVIL = "<img src=x onerror=document.title='run'>.jpg"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        names = ("chromium", "chromium-browser", "google-chrome")
        found = next(filter(None, map(shutil.which, names)), playwright.chromium.executable_path)
        if not Path(found).exists():
            pytest.skip("no Chromium: none on the path, and playwright has none")
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    """A function that writes a page and opens it; at the end there must be no complaint."""
    complaints, tabs = [], []

    def open_page(frames, width=1000, height=760, **options):
        path = tmp_path / "page.html"
        write_page(path, frames, SKELETON, title="Test", **options)
        tab = browser.new_page(viewport={"width": width, "height": height})
        tabs.append(tab)
        tab.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
        tab.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        tab.on("request", lambda request: asked(request.url, path))
        tab.goto(path.as_uri())
        wait_for_frame(tab, 0)
        return tab

    def asked(url, path):
        if url != path.as_uri() and not url.startswith(("data:", "blob:")):
            complaints.append(f"request: {url}")

    yield open_page
    for tab in tabs:
        tab.close()
    assert complaints == []


def wait_for_frame(tab, index):
    tab.wait_for_selector(f"body[data-shown='{index}']", timeout=120_000)


def coloured_pixels(tab, colour):
    """Pixels of the scene's canvas, without labels, of nearly the hue of an RGB colour."""
    style = tab.add_style_tag(content="#space svg { visibility: hidden }")
    picture = cv2.imdecode(np.frombuffer(tab.locator("#space").screenshot(), np.uint8), 1)
    style.evaluate("(element) => element.remove()")
    hue, saturation, _ = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV).astype(int))
    wanted = int(cv2.cvtColor(np.uint8([[colour[::-1]]]), cv2.COLOR_BGR2HSV)[0, 0, 0])
    return int(((abs((hue - wanted + 90) % 180 - 90) < 6) & (saturation > 110)).sum())


def test_pictures_are_drawn_turned_and_switched(opened):
    frames = [make_frame(EVIL, people=2), make_frame("second.jpg", people=3)]
    frames.append(dataclasses.replace(make_frame("empty.jpg", people=0), intrinsics_assumed=True))
    tab = opened(frames)
    assert tab.title() == "Test" and tab.locator("#name").inner_text() == EVIL

    # The photograph: the picture itself, and each joint where it belongs.
    assert tab.evaluate("document.querySelector('#sheet img').naturalWidth") == 640
    sheet = tab.locator("#sheet img").bounding_box()
    assert sheet["width"] / sheet["height"] == pytest.approx(640 / 480, rel=0.01)
    joints = tab.locator("#overlay circle")
    assert joints.count() == 2 * 17 and tab.locator("#overlay .box").count() == 2
    # The farther person, here the second, is drawn first.
    circle, joint = joints.first.bounding_box(), frames[0].keypoints[1, 0]
    x, y = (circle[a] + circle[b] / 2 for a, b in (("x", "width"), ("y", "height")))
    zoom = sheet["width"] / 640
    assert x - sheet["x"] == pytest.approx(joint[0] * zoom, abs=1)
    assert y - sheet["y"] == pytest.approx(joint[1] * zoom, abs=1)
    tab.mouse.move(x, y)
    words = tab.locator("#tip").inner_text().split("\n")
    assert words[0] == "head top" and "Person 2" in words
    assert f"x {joint[0]:.1f}, y {joint[1]:.1f} px" in words
    assert f"score {joint[2]:.2f}" in words

    # The scene has both people, the map too, and the table their numbers.
    assert tab.locator("#map .person").count() == 2
    assert min(coloured_pixels(tab, person_colour(i)) for i in range(2)) > 300
    row = tab.locator("#people tr").first.inner_text().split()
    depth = frames[0].poses[0, SKELETON.root_index, 2] / 1000
    assert row[0] == "1" and f"{depth:.2f}" in row

    # A drag turns the scene; the distance from its centre stays.
    before = tab.evaluate(CAMERA)
    stage = tab.locator("#space").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + 0.8 * stage["height"]
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x - 120, y + 5, steps=4)
    tab.mouse.up()
    tab.wait_for_timeout(500)
    after = tab.evaluate(CAMERA)

    def offset(camera):
        return np.array([camera["eye"][k] - camera["center"][k] for k in "xyz"])

    cosine = (
        offset(before)
        @ offset(after)
        / np.prod([np.linalg.norm(offset(camera)) for camera in (before, after)])
    )
    assert cosine < 0.98
    assert np.linalg.norm(offset(after)) == pytest.approx(np.linalg.norm(offset(before)), rel=1e-3)

    tab.locator("#strip button").nth(1).click()
    wait_for_frame(tab, 1)
    assert tab.locator("#name").inner_text() == "second.jpg"
    assert tab.locator("#people tr").count() == tab.locator("#map .person").count() == 3
    assert tab.locator("#overlay circle").count() == 3 * 17
    assert not tab.locator("#assumed").is_visible()

    # Singled out, a person keeps the colours and the others lose them.
    tab.locator("#people tr").nth(1).click()
    tab.wait_for_selector("#people tr.selected")
    tab.wait_for_timeout(500)
    opacities = tab.locator("#map .person").evaluate_all(
        "all => all.map(e => +e.getAttribute('opacity'))"
    )
    assert sorted(opacities) == [0.35, 0.35, 1]
    assert (
        coloured_pixels(tab, person_colour(1)) > 200 > 20 > coloured_pixels(tab, person_colour(0))
    )

    tab.keyboard.press("ArrowRight")
    wait_for_frame(tab, 2)
    assert tab.locator("#nobody").is_visible() and tab.locator("#assumed").is_visible()
    assert tab.locator("#overlay circle").count() == 0
    assert "No people" in tab.locator("#people-card").inner_text()


def test_a_video_is_moved_by_its_slider_and_plays(opened):
    frames = [
        dataclasses.replace(
            make_frame(f"{n}.jpg", people=1, depth=4000 + 500 * n), ids=np.array([2])
        )
        for n in range(4)
    ]
    tab = opened(frames, width=420, height=800, video=True, fps=5)
    assert tab.locator("#strip").is_hidden() and tab.locator("#position").inner_text() == "1 / 4"
    # No scrolling sideways on a phone.
    assert tab.evaluate("document.documentElement.scrollWidth") <= 420
    camera = tab.evaluate(CAMERA)
    tab.locator("#slider").fill("2")
    wait_for_frame(tab, 2)
    assert tab.locator("#name").inner_text() == "2.jpg"
    assert "5.00 m" in tab.locator("#people tr").inner_text()
    assert tab.evaluate(CAMERA)["eye"] == pytest.approx(camera["eye"])
    tab.locator("#play").click()
    wait_for_frame(tab, 3)
    tab.wait_for_selector("#play[aria-label='Play']")
    assert coloured_pixels(tab, person_colour(2)) > 100
