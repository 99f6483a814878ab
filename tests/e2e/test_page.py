"""The live page in a headless Chromium, against `llm-optimizer serve` and a broker: what is seen, and what it does."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from app.core.commands import parse
from tests.api.harness import keys_file
from tests.e2e.harness.broker import Broker, free_port
from tests.e2e.harness.browser import browser
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.page_world import HOSTILE, HOSTILE_ARM, decide_again, tell
from tests.e2e.harness.serving import Serving
from tests.e2e.harness.topic import read
from tests.e2e.harness.waits import until

pytestmark = pytest.mark.e2e

PATIENCE_MS = 60_000
WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter(e => !e.closest(".scroll, svg") && Math.max(e.getBoundingClientRect().right, e.scrollWidth) > innerWidth)
  .map(e => e.outerHTML.slice(0, 120))"""
"""What sticks out of the page."""
LAST_ROW = """table => {
  const texts = (cells) => [...cells].slice(1).map((cell) => cell.innerText);
  return [texts(table.querySelectorAll("thead th")), texts(table.querySelector("tbody tr:last-child").children)];
}"""
"""Names of the columns and cells of the newest row, read in one go: the page may draw itself anew."""


class Site:
    """The server and what its page is asked with."""

    def __init__(self, deployment: Deployment, folder: Any) -> None:
        path, self.keys = keys_file(folder, {"boss": ("admin",), "guest": ("viewer",)})
        self.deployment, self._log = deployment, folder / "serve.log"
        self._env = {
            "LLM_OPTIMIZER__API__AUTH": "required",
            "LLM_OPTIMIZER__API__KEYS_FILE": str(path),
            "LLM_OPTIMIZER__API__PORT": str(free_port()),
        }
        self.start()

    def start(self) -> None:
        self.serving = Serving(self.deployment, self._log, **self._env)
        self.url = self.serving.url
        until(lambda: requests.get(f"{self.url}/ready", timeout=30).status_code == 200, 120, "it did not catch up")

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}/api/v1{path}", headers={"X-API-Key": self.keys["boss"]}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def on_topic(self, verb: str) -> list[Any]:
        """The commands of that name as they lie on the topic."""
        topics = self.deployment.settings.topics
        told = read(self.deployment.settings.kafka.bootstrap_servers, topics.commands)
        return [command for message in told if (command := parse(message.value or b"")).command == verb]

    def ordered(self, page: Any, verb: str) -> Any:
        """The one command of that name, once it lies there; ``page`` has said what became of it."""
        page.locator(".toast").last.wait_for()
        said = page.locator(".toast").all_inner_texts()
        until(lambda: bool(self.on_topic(verb)), 120, f"no {verb} on the topic; the page said {said}")
        (order,) = self.on_topic(verb)
        return order


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def site(chrome: Any, kafka: Broker, tmp_path_factory: Any) -> Iterator[Site]:
    if kafka.real:
        pytest.skip("the page asks the read model only: its run against the mock cluster says as much")
    folder = tmp_path_factory.mktemp("page")
    deployment = deploy(kafka, "page", folder / "state")
    tell(deployment.settings)
    made = Site(deployment, folder)
    yield made
    assert made.serving.stop() == 0


@pytest.fixture(scope="module")
def boss(chrome: Any, site: Site) -> Iterator[Any]:
    yield from opened(chrome, site, "boss")


@pytest.fixture(scope="module")
def guest(chrome: Any, site: Site) -> Iterator[Any]:
    yield from opened(chrome, site, "guest", viewport={"width": 360, "height": 740}, color_scheme="dark")


@pytest.fixture
def page(boss: Any) -> Any:
    """At the list of services, as the one who may do everything."""
    return home(boss)


@pytest.fixture
def phone(guest: Any) -> Any:
    """The same, as one who may only read, on a narrow dark screen."""
    return home(guest)


def opened(chrome: Any, site: Site, who: str, **how: Any) -> Iterator[Any]:
    """Signed in by hand; whatever the browser complains about in the end fails the test."""
    context = chrome.new_context(**{"viewport": {"width": 1280, "height": 900}, "timezone_id": "UTC", **how})
    context.set_default_timeout(PATIENCE_MS)
    made = context.new_page()
    wrong: list[str] = []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    made.goto(site.url)
    made.get_by_label("Key or token").fill(site.keys[who])
    made.get_by_role("button", name="Sign in").click()
    made.wait_for_selector(".service .figure")
    yield made
    context.close()
    assert not wrong


def home(page: Any) -> Any:
    if "#/service" in page.url:
        page.get_by_role("link", name="← Services").click()
    page.wait_for_selector(".service .figure")
    return page


def show(page: Any, service: str) -> None:
    page.get_by_role("link", name=service, exact=True).click()
    page.wait_for_selector("#log .entry")
    page.wait_for_selector("#shares .layer")


def test_every_service_has_its_row_with_a_state_and_a_line(page: Any, site: Site) -> None:
    states = site.get("/services")["services"]
    lines = page.locator(".service .spark polyline")
    until(lambda: lines.count() == 2 * len(states), 60, "not every service has its two lines")
    assert page.locator(".service").count() == len(states) == 3
    for state in states:
        row = page.locator(".service", has=page.get_by_role("link", name=state["service"], exact=True))
        assert state["mode"] in row.locator(".pills").inner_text()
        assert ("on trial" in row.inner_text()) == (state["trial"] is not None)


def test_the_charts_hold_the_numbers_of_the_answers(page: Any, site: Site) -> None:
    show(page, "chat")
    series = site.get("/services/chat/series?minutes=480")
    drawn = page.locator("#shares .layer").evaluate_all("layers => layers.map(layer => layer.dataset.arm)")
    assert sorted(drawn) == [arm["arm"] for arm in series["arms"]]
    page.locator("#cost summary", has_text="as a table").click()
    page.locator("#cost tbody tr").last.wait_for()  # made when the part is unfolded, a moment after the click
    newest = {arm["arm"]: arm["cost_usd_per_1000"][-1] for arm in series["arms"]}
    told = dict(zip(*page.locator("#cost table").evaluate(LAST_ROW), strict=True))
    for arm, point in newest.items():
        expected = "\u2013" if point is None else f"${point['mean']:.2f}"
        assert told[arm].startswith(expected), (arm, told)
    assert page.locator("#shares .mark").count() >= 1
    assert page.locator("#quality .band").count() >= 1


def test_the_open_trial_the_budget_and_the_log_are_shown(page: Any, site: Site) -> None:
    show(page, "chat")
    (trial,) = [t for t in site.get("/trials?service=chat")["trials"] if t["status"] == "running"]
    assert f"{trial['arm']} against {trial['control_arm']}: open since" in page.locator("#trial .lead").inner_text()
    assert (page.locator("#trial .step.now .share").text_content() or "").endswith(f"{round(100 * trial['share'])} %")
    spent = site.get("/services/chat/budget")
    page.locator("#budget").get_by_text("of $50.00 a day").first.wait_for()
    assert spent["budget"]["day_usd"] == 50.0
    told = site.get("/decisions?service=chat&limit=150")["decisions"]
    ids = {event["decision_id"] for event in told if event["status"] in {"proposed", "decided", "refused"}}
    shown = page.locator("#log .entry").evaluate_all("entries => entries.map(entry => entry.dataset.decision)")
    assert set(shown) == ids
    page.locator("#log .entry summary").first.click()
    assert "strategy" in page.locator("#log .entry .why").first.inner_text()


def test_names_from_telemetry_are_text_and_nothing_else(page: Any) -> None:
    show(page, HOSTILE)
    assert page.locator("h1").inner_text() == HOSTILE
    assert HOSTILE_ARM in page.locator("#trial .lead").inner_text()
    assert HOSTILE_ARM in page.locator("#cost .legend").inner_text()
    assert page.locator("main img, main script").count() == 0
    assert "hacked" not in page.title().replace(HOSTILE, "")


def test_freeze_says_what_it_will_do_and_reaches_the_command_log(page: Any, site: Site) -> None:
    show(page, "chat")
    page.get_by_role("button", name="Freeze").click()
    dialog = page.get_by_role("dialog")
    assert "The open trial of small is taken back" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.get_by_role("button", name="Freeze").click()
    dialog.get_by_label("Hold the split").check()
    dialog.get_by_label("Reason").fill("a sale")
    dialog.get_by_role("button", name="Freeze chat").click()
    order = site.ordered(page, "freeze")  # that of the first dialog was never sent
    assert (order.service, order.actor, order.reason, order.args.hold) == ("chat", "key:boss", "a sale", True)
    assert page.url.endswith("#/service/chat")  # and nothing of the key is in it


def test_a_proposal_is_approved_by_the_one_who_was_shown_it(page: Any, site: Site) -> None:
    show(page, "ask")
    (proposed,) = {e["decision_id"] for e in site.get("/decisions?service=ask&status=proposed")["decisions"]}
    assert page.locator(".proposal").inner_text().startswith("Proposed:")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve ask").click()
    order = site.ordered(page, "approve")
    assert (order.service, order.args.decision_id) == ("ask", proposed)


def test_who_may_only_read_sees_why_the_buttons_do_nothing(phone: Any) -> None:
    show(phone, "chat")
    button = phone.get_by_role("button", name="Freeze")
    assert button.is_disabled()
    assert "lacks the right to operate" in phone.locator("#no-right").inner_text()


def test_the_keyboard_reaches_a_chart_and_its_numbers(page: Any) -> None:
    show(page, "chat")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.key") == "shares":
            break
    tip = page.locator("#shares .tip")
    tip.wait_for(state="visible")
    first = tip.inner_text()
    page.keyboard.press("Home")
    assert tip.inner_text() != first
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_phone_scrolls_in_one_direction_only(phone: Any) -> None:
    for service in ("chat", HOSTILE):
        show(phone, service)
        assert phone.evaluate(WIDE) == []
        home(phone)
        assert phone.evaluate(WIDE) == []


def test_decisions_appear_by_themselves_also_those_made_while_the_server_was_away(page: Any, site: Site) -> None:
    show(page, "chat")
    page.get_by_text("live", exact=True).wait_for()
    page.locator("#log").get_by_text(decide_again(site.deployment.settings, 1)).wait_for()
    assert site.serving.stop() == 0
    page.get_by_text("every 5 s").wait_for()
    said = decide_again(site.deployment.settings, 2)
    site.start()
    page.locator("#log").get_by_text(said).wait_for()
    page.get_by_text("live", exact=True).wait_for()
