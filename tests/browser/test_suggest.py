"""The names that the built-in model knows, offered while a prompt is typed."""

from __future__ import annotations

OPTIONS = "#suggest:not([hidden]) [role=option]"


def test_a_name_is_offered_and_taken_by_keys_or_mouse(visit, real):
    page = visit(real)
    prompt = page.locator("#prompt textarea")
    prompt.click()
    page.wait_for_selector(OPTIONS)
    assert page.locator(OPTIONS).count() == 6, "a few to begin with"
    prompt.press_sequentially("octo")
    page.wait_for_function(f"document.querySelectorAll('{OPTIONS}').length === 1")
    prompt.press("ArrowDown")
    assert page.locator(OPTIONS).get_attribute("aria-selected") == "true"
    prompt.press("Enter")
    assert prompt.input_value() == "octopus"
    assert page.locator(OPTIONS).count() == 0
    prompt.fill("pizz")
    page.locator(OPTIONS, has_text="pizza").click()
    assert prompt.input_value() == "pizza"


def test_nothing_is_offered_where_it_would_be_in_the_way(visit, real):
    page = visit(real)
    prompt = page.locator("#prompt textarea")
    prompt.press_sequentially("pizz")
    page.wait_for_selector(OPTIONS)
    prompt.press("Escape")
    assert page.locator(OPTIONS).count() == 0
    prompt.fill("a red scarf, knitted by hand")
    assert page.locator(OPTIONS).count() == 0
    prompt.fill("cat")
    page.wait_for_selector(OPTIONS)
    page.locator("#brand").click()
    assert page.locator(OPTIONS).count() == 0, "gone with the focus"
