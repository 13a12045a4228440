"""The names that the built-in model knows, offered under the prompt's field."""

from __future__ import annotations

NAMES = "#suggest:not([hidden]) [role=option]"
HINT = "#suggest .hint"


def names(page) -> list[str]:
    return page.locator(NAMES).all_text_contents()


def test_a_name_is_offered_and_taken_by_keys_or_mouse(visit, real):
    page = visit(real)
    prompt = page.locator("#prompt textarea")
    page.wait_for_selector(NAMES)
    assert len(names(page)) > 3, "a few to begin with"
    prompt.press_sequentially("octo")
    page.wait_for_function(f"document.querySelectorAll('{NAMES}').length === 1")
    prompt.press("ArrowDown")
    assert page.locator(NAMES).get_attribute("aria-selected") == "true"
    prompt.press("Enter")
    assert prompt.input_value() == "octopus"
    prompt.fill("pizz")
    page.locator(NAMES, has_text="pizza").click()
    assert prompt.input_value() == "pizza"
    page.wait_for_function(f"document.querySelector('{HINT}')?.textContent.includes('knows this')")


def test_what_it_may_not_know_is_said(visit, real):
    page = visit(real)
    prompt = page.locator("#prompt textarea")
    prompt.fill("a scarf, knitted by hand")
    page.wait_for_function(f"document.querySelector('{HINT}')?.textContent.includes('knows this')")
    assert len(names(page)) > 3 and "scarf" not in names(page)
    prompt.fill("quaternion")
    page.wait_for_function(f"document.querySelector('{HINT}')?.textContent.includes('may not know')")
    assert len(names(page)) > 3


def test_nothing_moves_or_is_covered_as_it_changes(visit, real):
    page = visit(real)
    prompt, run = page.locator("#prompt textarea"), page.locator("#run")
    page.wait_for_selector(NAMES)
    before = run.bounding_box()
    for text in ("octo", "pizza", "quaternion", ""):
        prompt.fill(text)
        page.wait_for_function(f"document.querySelector('{HINT}')?.textContent.length > 3")
        assert abs(run.bounding_box()["y"] - before["y"]) <= 1, text
    run.click(trial=True)  # fails where something lies over the button
