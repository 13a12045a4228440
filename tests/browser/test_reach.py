"""Reach every control at every size with the wheel, the mouse, Tab and a finger; nothing scrolls sideways."""

from __future__ import annotations

import pytest

from . import hands

SIZES = (
    (360, 640),
    (390, 844),
    (768, 1024),
    (1024, 768),
    (1280, 800),
    (1366, 625),
    (1366, 768),
    (1440, 900),
    (1920, 1080),
)
TOUCH = ((360, 640), (390, 844), (768, 1024))

# the page's controls; a radio button or a tick is reached through its label
CONTROLS = """
const controls = () => [...document.querySelectorAll('#head button, #tabs .tab-container button, #workspace button, '
    + '#workspace input, #workspace textarea, #workspace select, #workspace [tabindex="0"]')]
  .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: false }) && !e.closest('.hide')
    && !e.disabled && e.type !== 'file' && !(e.tabIndex < 0 && e.type !== 'radio') && !e.closest('[role=listbox]'))
  .map((e) => (['radio', 'checkbox'].includes(e.type) && e.closest('label')) || e);
const told = (e) => [e.tagName, e.id || e.closest('[id]')?.id,
  e.getAttribute('aria-label') || e.textContent.trim().slice(0, 30)].join(' ');
const inSight = (e) => {
  const box = e.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
  const top = document.elementFromPoint(x, y);
  return !!top && (e === top || e.contains(top) || (top.contains(e) && top.closest('label') === e.closest('label')
    && top.closest('label') !== null));
};
"""
LISTED = f"() => {{ {CONTROLS} return controls().map(told); }}"
SEEN = f"() => {{ {CONTROLS} return controls().filter(inSight).map(told); }}"
FOCUSED = f"""async () => {{ {CONTROLS} const e = document.activeElement;
  const own = (['radio', 'checkbox'].includes(e.type) && e.closest('label')) || e;
  for (let n = 0; n < 60 && !inSight(own); n++) await new Promise(requestAnimationFrame);
  const passing = own === document.body || own.closest('[role=listbox]'); // a menu that is about to close
  const box = own.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const covered = inSight(own) ? '' : `at ${{Math.round(box.y)}}, under ${{top?.outerHTML.slice(0, 80)}}`;
  return [passing ? null : told(own), covered]; }}"""
UNCHOSEN = f"""() => {{ {CONTROLS} return [...document.querySelectorAll('#panel input[type=radio]:not(:checked)')]
  .map((e) => told(e.closest('label'))); }}"""
SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll('body *')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1 && (e === document.documentElement
    || ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)) && e.checkVisibility())
  .map((e) => `${e.tagName}#${e.id}.${e.className} ${e.scrollWidth} > ${e.clientWidth}`)"""
POSITION = "() => [scrollY, document.querySelector('#panel').scrollTop]"


def settle(page) -> None:
    """Wait until nothing has moved for two frames."""
    page.evaluate(
        """() => new Promise(done => { let last = ''; const look = () => {
        const panel = document.querySelector('#panel'), table = document.querySelector('.table');
        const now = [scrollY, panel.scrollTop, panel.offsetHeight, table.offsetHeight].join();
        if (now === last) done();
        else { last = now; requestAnimationFrame(() => requestAnimationFrame(look)); } }; look(); })"""
    )


def unfold(page) -> None:
    """Open every group of settings with the keyboard, and give the task that has a field of its own."""
    page.locator("#task label").nth(4).click()
    page.wait_for_selector("#expand", state="visible")
    page.locator("#advanced > button").press("Enter")
    page.wait_for_selector("#advanced .group", state="visible")
    for group in page.locator("#advanced .group > button").all():
        group.press("Enter")
    page.locator("#advanced .group").last.locator("input").last.wait_for(state="visible")


def scrolled(page, move) -> set[str]:
    """What comes in sight from the top to the bottom, moved on by `move`."""
    page.evaluate("() => { scrollTo(0, 0); document.querySelector('#panel').scrollTo(0, 0); }")
    settle(page)
    seen, before = set(page.evaluate(SEEN)), None
    for _ in range(60):
        move()
        settle(page)
        position = page.evaluate(POSITION)
        if position == before:
            return seen
        before = position
        seen |= set(page.evaluate(SEEN))
    raise AssertionError("the page has no end")


def test_every_control_is_reached_at_every_size(visit, fake, photo):
    page = visit(fake)
    hands.open_photo(page, photo)
    hands.stroke(page, (0.4, 0.4), (0.6, 0.5))
    page.locator("#count label").nth(1).click()
    hands.run(page, "something")
    hands.mode(page, "result")
    unfold(page)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        settle(page)
        everything = set(page.evaluate(LISTED))
        assert len(everything) > 80, "the test has lost sight of the controls"
        assert page.evaluate(SIDEWAYS) == [], (width, height)

        panel = page.locator("#panel").bounding_box() if width > 900 else None
        page.mouse.move(*((panel["x"] + panel["width"] / 2, height / 2) if panel else (width / 2, height - 25)))
        seen = scrolled(page, lambda height=height: page.mouse.wheel(0, height * 0.35))
        assert everything - seen == set(), f"the wheel does not reach them at {width} × {height}"

        last = page.locator("#panel input[type=checkbox]").last
        box, ticked = last.bounding_box(), last.is_checked()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert last.is_checked() != ticked, (width, height)

        page.locator("#theme").focus()
        reached, hidden = set(), set()
        for _ in range(len(everything) + 40):
            page.keyboard.press("Tab")
            name, covered = page.evaluate(FOCUSED)
            if name is None or name in reached:
                continue
            reached.add(name)
            if covered:
                hidden.add(f"{name} {covered}")
        radios = set(page.evaluate(UNCHOSEN))  # the arrow keys lead to these
        assert everything - reached - radios - {"BUTTON theme Light or dark"} == set(), (width, height)
        assert hidden == set(), f"Tab leads to what is out of sight at {width} × {height}"


def test_a_finger_reaches_every_control(visit, fake, photo):
    page = visit(fake, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    hands.open_photo(page, photo)
    unfold(page)
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    for width, height in TOUCH:
        page.set_viewport_size({"width": width, "height": height})
        settle(page)
        everything = set(page.evaluate(LISTED))
        assert page.evaluate(SIDEWAYS) == [], (width, height)

        def swipe(width=width, height=height):
            fingers("touchStart", (width / 2, height * 0.75))
            for k in range(1, 7):
                fingers("touchMove", (width / 2, height * (0.75 - 0.06 * k)))
            settle(page)  # the finger rests before it is lifted, so that nothing is flung
            fingers("touchMove", (width / 2, height * 0.39))
            fingers("touchEnd")

        assert everything - scrolled(page, swipe) == set(), (width, height)


@pytest.mark.parametrize("size", [(390, 844), (1280, 800)])
def test_repaint_is_at_hand_and_nothing_moves_when_the_result_comes(visit, fake, photo, size):
    page = visit(fake, viewport={"width": size[0], "height": size[1]})
    hands.open_photo(page, photo)
    run = page.locator("#run").bounding_box()
    assert run["y"] + run["height"] <= size[1]
    hands.stroke(page, (0.4, 0.4), (0.6, 0.5))
    before = page.locator(".world").bounding_box()
    page.mouse.click(run["x"] + run["width"] / 2, run["y"] + run["height"] / 2)
    hands.mode(page, "result")
    settle(page)
    assert page.locator(".world").bounding_box() == before


def test_nothing_lies_over_repaint_while_the_settings_are_scrolled(visit, fake, photo):
    page = visit(fake)
    hands.open_photo(page, photo)
    unfold(page)
    page.mouse.move(1100, 500)
    over = """() => { const run = document.querySelector('#run'), box = run.getBoundingClientRect(), found = [];
      for (let x = 12; x < box.width - 12; x += 6) for (let y = 4; y < box.height - 2; y += 4) {
        const top = document.elementFromPoint(box.x + x, box.y + y);
        if (top !== run && !run.contains(top)) found.push(top.outerHTML.slice(0, 60)); }
      return found; }"""
    for _ in range(40):
        page.mouse.wheel(0, 47)
        settle(page)
        assert page.evaluate(over) == []


def test_menus_of_a_result_are_whole_on_a_phone(visit, fake, photo):
    page = visit(fake, viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    hands.open_photo(page, photo)
    hands.stroke(page, (0.4, 0.4), (0.6, 0.5))
    hands.run(page, "something")
    hands.mode(page, "result")
    for menu in ("download_as", "details", "film_export"):
        page.locator(f".below .holder > [data-do={menu}]").press("Enter")
        box = page.locator(".below .menu:not([hidden])").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360, (menu, box)
        page.keyboard.press("Escape")


def test_scroll_bars_and_lists_are_dark_too(visit, fake):
    page = visit(fake)
    scheme = "() => getComputedStyle(document.documentElement).colorScheme.includes('dark')"
    before = page.evaluate(scheme)
    page.locator("#theme").click()
    page.wait_for_function(f"before => ({scheme})() !== before", arg=before)
