import re
import shlex
import sys
from pathlib import Path

import msgspec
import pytest

from app.adapters.codec.encode import encode_output
from app.core.assign import assign
from app.core.ids import receipt_of
from tests.adapters.readmodel.worlds import TOPICS, command_record, document, outputs, seen
from tests.api.harness import api, world
from tests.core.loop import START_S


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = world(tmp_path_factory.mktemp("rest"))
    yield made
    made.store.close()


GETS = (
    "/services", "/services/chat", "/services/chat/split", "/services/chat/document", "/services/chat/savings",
    "/services/chat/budget", "/services/chat/aggregates?since=2023-11-14T00:00:00Z", "/services/chat/sliding?minutes=30",
    "/decisions", "/decisions?status=decided&status=verified", "/findings", "/trials", "/experiments?status=running",
    "/commands", "/commands/order-0", "/lag", '/strategies?context={"service":"chat"}',
)  # fmt: skip


async def test_every_question_is_answered_with_the_lag_of_the_model_and_a_request_id(model):
    async with api(model) as running:
        for path in GETS:
            status, body, headers = await running.get(path)
            assert (status, type(body)) == (200, dict), (path, body)
            assert (headers["Model-Lag-Records"], headers["Model-Caught-Up"]) == ("3", "false")
            assert headers["X-Request-ID"]


async def test_an_answer_the_caller_has_is_not_sent_again(model):
    async with api(model) as running:
        _, _, headers = await running.get("/services/chat/split")
        status, body, _ = await running.get("/services/chat/split", headers={"If-None-Match": headers["ETag"]})
        assert (status, body) == (304, b"")
        status, _, _ = await running.get("/services/chat/split", headers={"If-None-Match": '"other"'})
        assert status == 200


async def test_pages_follow_their_cursor(model):
    async with api(model) as running:
        ids, cursor = [], ""
        while True:
            _, body, _ = await running.get(f"/decisions?limit=2&cursor={cursor}")
            ids += [d["id"] for d in body["decisions"]]
            cursor = body["next_cursor"]
            if not cursor:
                break
        assert len(ids) == len(set(ids)) == sum(o.role == "optimizations" for o in outputs())


async def test_a_decision_is_explained(model):
    async with api(model) as running:
        _, body, _ = await running.get("/decisions?action=open-trial&limit=1")
        decision = body["decisions"][0]["decision_id"]
        status, told, _ = await running.get(f"/decisions/{decision}/explanation")
        assert status == 200
        assert "small" in told["text"]
        assert told["rationale"]
        assert (await running.get(f"/decisions/{decision}"))[1]["service"] == "chat"


async def test_an_order_names_who_gave_it_and_says_where_to_look(model):
    async with api(model) as running:
        status, body, headers = await running.post(
            "/commands", {"service": "chat", "command": "freeze", "args": {"hold": True}, "reason": "sale"}
        )
        assert (status, body["command"], body["actor"]) == (202, "freeze", "anonymous")
        assert headers["Location"] == f"/api/v1/commands/{body['id']}"
        ((command, _, extensions),) = running.log.sent
        assert (command.reason, extensions) == ("sale", {"authtype": "unauthenticated", "authid": "anonymous"})


async def test_approve_and_reject_name_the_decision(model):
    async with api(model) as running:
        _, body, _ = await running.get("/decisions?status=decided&limit=1")
        decision = body["decisions"][0]["decision_id"]
        for verb in ("approve", "reject"):
            status, _, _ = await running.post(f"/decisions/{decision}/{verb}", {"reason": "yes"})
            assert status == 202
        assert [(c.command, c.args.decision_id) for c, _, _ in running.log.sent] == [
            ("approve", decision), ("reject", decision),
        ]  # fmt: skip
        assert (await running.post("/decisions/none/approve", {}))[0] == 404


async def test_a_key_used_again_is_one_order_and_for_another_order_is_refused(model):
    async with api(model) as running:
        order, key = {"service": "chat", "command": "pause"}, {"Idempotency-Key": "k-1"}
        first = await running.post("/commands", order, headers=key)
        again = await running.post("/commands", order, headers=key)
        assert (first[0], again[0], again[1]["id"]) == (202, 202, first[1]["id"])
        assert again[2]["Idempotency-Replayed"] == "true"
        assert len(running.log.sent) == 1
        status, body, _ = await running.post("/commands", {**order, "command": "resume"}, headers=key)
        assert (status, body["error"]) == (422, "idempotency_key_reused")


async def test_a_broker_that_is_down_is_said_so(model):
    async with api(model) as running:
        running.log.down = True
        status, body, headers = await running.post("/commands", {"service": "chat", "command": "pause"})
        assert (status, body["error"], headers["Retry-After"]) == (503, "broker_unavailable", "5")


async def test_a_document_is_compared_checked_and_sent(model):
    async with api(model) as running:
        _, held, headers = await running.get("/services/chat/document")
        changed = {**held["document"], "mode": "approve"}
        _, diff, _ = await running.post("/services/chat/document/diff", {"document": changed})
        assert [(c["parameter"], c["new"]) for c in diff["changes"]] == [("mode", "approve")]
        put = {"json": {"document": changed}, "headers": {"If-Match": headers["ETag"]}}
        status, _, _ = await running.ask("PUT", "/api/v1/services/chat/document", **put)
        assert status == 202
        assert running.log.sent[0][0].args.document.mode == "approve"
        put["headers"] = {"If-Match": '"old"'}
        assert (await running.ask("PUT", "/api/v1/services/chat/document", **put))[0] == 412
        status, body, _ = await running.ask(
            "PUT", "/api/v1/services/chat/document", json={"document": {"mode": "loud"}}
        )
        assert (status, body["error"]) == (400, "bad_document")
        assert "mode" in body["detail"]


async def test_an_experiment_adds_its_arms_to_the_document(model):
    async with api(model) as running:
        asked = {"service": "chat", "name": "tiny", "variants": [
            {"variant_id": "big"}, {"variant_id": "tiny", "configuration": {"model": "gpt-tiny"}}]}  # fmt: skip
        status, body, headers = await running.post("/experiments", asked, headers={"Idempotency-Key": "k"})
        assert (status, body["status"], body["arms_added"]) == (201, "created", ["tiny"])
        (configure, _, _), (start, identity, _) = running.log.sent
        assert [arm.name for arm in configure.args.document.arms] == [*(arm.name for arm in document().arms), "tiny"]
        assert (start.command, start.args.arms, start.args.name) == ("experiment.start", ("tiny",), "tiny")
        assert headers["Location"].endswith(body["experiment_id"]) and body["experiment_id"] == identity
        again = await running.post("/experiments", asked, headers={"Idempotency-Key": "k"})
        assert (again[0], again[1]["experiment_id"], len(running.log.sent)) == (201, identity, 2)
        other = {**asked, "variants": [{"variant_id": "small", "configuration": {"model": "other"}}]}
        assert (await running.post("/experiments", other))[1]["error"] == "arm_exists"
        alone = {**asked, "variants": [{"variant_id": "big"}]}
        assert (await running.post("/experiments", alone))[1]["error"] == "nothing_to_try"
        status, body, _ = await running.post("/experiments", {**asked, "duration_hours": 5})
        assert (status, body["details"]) == (422, {"fields": ["duration_hours"]})


async def test_a_selection_is_the_draw_every_gateway_makes(model):
    async with api(model) as running:
        split = model.split("chat")
        for n in range(50):
            status, body, _ = await running.post(
                "/optimize/model-selection",
                {"service": "chat", "request_id": f"r{n}", "constraints": {"max_latency_ms": 1}, "requirements": {}},
            )
            drawn = assign(split, f"r{n}")
            assert (status, body["arm"], body["slice"]) == (200, drawn.arm, drawn.slice)
            receipt = receipt_of(body["receipt"])
            assert receipt is not None
            assert (receipt.arm, receipt.slice, receipt.version) == (drawn.arm, drawn.slice, split.version)
            assert body["constraints"][0]["satisfied"] is False
        assert (await running.post("/optimize/model-selection", {"service": "nobody"}))[0] == 404


async def test_prompts_are_refused_with_the_reason(model):
    async with api(model) as running:
        asked = {"prompt": "Hello", "optimization_type": "compression"}
        status, body, _ = await running.post("/optimize/prompt", asked)
        assert (status, body["error"]) == (501, "not_implemented")
        assert "arm" in body["detail"]


async def test_good_events_count_though_others_of_the_request_are_refused(model):
    def event(id_, latency_ms=5):
        shown = {"request_id": id_, "service": "chat", "model": "m", "latency_ms": latency_ms}
        return {
            "specversion": "1.0",
            "id": id_,
            "source": "/t",
            "type": "io.llm-platform.response.completed",
            "data": shown,
        }

    async with api(model) as running:
        values = [event("a"), event("b", latency_ms=-1), {"x": 1}]
        batch = {"data": msgspec.json.encode(values), "headers": {"Content-Type": "application/cloudevents-batch+json"}}
        status, body, _ = await running.ask("POST", "/api/v1/events", **batch)
        assert (status, body["accepted"], [r["index"] for r in body["rejected"]]) == (207, 1, [1, 2])
        assert "latency_ms" in body["rejected"][0]["detail"]
        lines = {
            "data": b"\n".join(map(msgspec.json.encode, values[:1] * 2)),
            "headers": {"Content-Type": "application/x-ndjson"},
        }
        assert (await running.ask("POST", "/api/v1/events", **lines))[:2] == (202, {"accepted": 2, "rejected": []})
        one = {"data": msgspec.json.encode(values[2]), "headers": {"Content-Type": "application/cloudevents+json"}}
        assert (await running.ask("POST", "/api/v1/events", **one))[0] == 422


async def test_windows_go_out_as_csv(model):
    async with api(model) as running:
        path = "/services/chat/aggregates.csv?window_s=900&since=2023-11-14T00:00:00Z"
        status, body, headers = await running.get(path)
        assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        head, *rows = body.decode().splitlines()
        _, shown, _ = await running.get(path.replace(".csv", ""))
        assert head.startswith("service,arm,segment,slice,start,end,windows,count")
        assert len(rows) == len(shown["windows"]) > 0


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/decisions?limit=0", "limit"), ("/decisions?limit=x", "limit"), ("/decisions?color=red", "color"),
        ("/decisions?since=monday", "monday"), ("/decisions?cursor=zz", "cursor"), ("/decisions?status=loud", "status"),
        ("/decisions?limit=1&limit=2", "limit"), ("/services/chat/sliding?minutes=0", "minutes"),
        ("/services/chat?service=other", "service"), ("/strategies?context=[]", "context"), ("/strategies", "context"),
        ("/services/chat/aggregates?window_s=7", "window_s"), ("/services/%2Achat", "service"),
    ],
)  # fmt: skip
async def test_a_wrong_question_names_the_place(model, path, place):
    async with api(model) as running:
        status, body, headers = await running.get(path)
        assert status == 400
        assert place in body["detail"]
        assert headers["Content-Type"].startswith("application/problem+json")
        assert body["request_id"] == headers["X-Request-ID"]


async def test_unknown_things_are_problems_too(model):
    async with api(model) as running:
        for path in ("/services/nobody", "/decisions/none", "/trials/none", "/commands/none", "/nothing"):
            status, body, _ = await running.get(path)
            assert (status, body["error"]) == (404, "not_found"), path
        status, _, headers = await running.ask("DELETE", "/api/v1/services")
        assert (status, headers["Allow"]) == (405, "GET")


async def test_health_page_and_document_need_no_credentials(model):
    async with api(model) as running:
        for path in ("/health", "/health/live", "/ready", "/health/ready", "/metrics", "/openapi.json", "/docs"):
            assert (await running.ask("GET", path))[0] == 200, path
        page = (await running.ask("GET", "/docs"))[1].decode()
        assert "<script" not in page
        assert "http://" not in page and "https://" not in page


README = (Path(__file__).parents[2] / "README.md").read_text()
CURLS = re.findall(r"^\$ curl -s (.*)$", README, re.MULTILINE)


@pytest.mark.parametrize("line", CURLS)
async def test_what_the_readme_asks_is_answered(model, line):
    words = shlex.split(line.replace("support-chat", "chat"))
    url = next(word for word in words if word.startswith("http://127.0.0.1:8088/"))
    data = words[words.index("-d") + 1] if "-d" in words else None
    async with api(model) as running:
        path = url.removeprefix("http://127.0.0.1:8088")
        more = {"data": data, "headers": {"Content-Type": "application/json"}} if data else {}
        status, _, _ = await running.ask("POST" if data else "GET", path, **more)
        assert status in {200, 202}


async def test_an_experiment_is_followed_from_its_order_to_its_end(tmp_path):
    from app.adapters.readmodel.experiments import identity_of, refusal_of
    from app.core.commands import Command, ExperimentStart
    from app.core.outputs import EXPERIMENT_COMPLETED, EXPERIMENT_STARTED, REFUSED, Output

    model = world(tmp_path)
    topic = TOPICS.commands
    for offset in (10, 11, 12):
        args = ExperimentStart(arms=("small",), name=f"try {offset}")
        model.store.take(
            [command_record(Command(service="chat", command="experiment.start", args=args, actor="ana"), offset)]
        )
    one, two = (identity_of(topic, 0, offset, "chat") for offset in (10, 11))

    def told(type_: str, identity: str, offset: int, **data: object) -> None:
        body = msgspec.json.encode({"service": "chat", "experiment_id": identity, **data})
        headers = encode_output(Output("optimizations", type_, f"{type_}-{offset}", "chat", START_S, body)).headers
        model.store.take([seen("optimizations", offset, body, headers)])

    told(EXPERIMENT_STARTED, one, 900, status="running", experiment_name="try 10", variants=[{"variant_id": "big"}])
    told(EXPERIMENT_STARTED, two, 901, status="running", experiment_name="try 11")
    won = {"variant_id": "small", "improvement_metrics": {"quality_score": 0.02}}
    told(EXPERIMENT_COMPLETED, two, 902, status="completed", winner=won, conclusion="small is better")
    told(REFUSED, "", 903, decision_id=refusal_of(topic, 0, 12, "chat"), rationale="frozen", action="refuse")
    async with api(model) as running:
        listed = (await running.get("/experiments"))[1]["experiments"]
        assert [(e["experiment_id"], e["status"], e["improvement_percentage"]) for e in listed] == [
            (two, "completed", 2.0),
            (one, "running", None),
        ]
        assert len((await running.get("/experiments?status=running"))[1]["experiments"]) == 1
        states = [(await running.get(f"/experiments/order-{n}"))[1] for n in (10, 11, 12)]
        assert [state["status"] for state in states] == ["running", "completed", "failed"]
        assert (states[0]["experiment_id"], states[2]["conclusion"]) == (one, "frozen")
        assert (await running.get(f"/experiments/{one}"))[1]["name"] == "try 10"
        assert (await running.get("/experiments/order-0"))[0] == 404
        status, body, _ = await running.post("/experiments/order-10/stop", {"reason": "enough"})
        assert (status, body["command"]) == (202, "experiment.stop")
        assert running.log.sent[0][0].args.experiment_id == one
        assert (await running.post("/experiments/order-12/stop", {}))[0] == 409
    model.store.close()


async def test_a_strategy_is_registered_by_an_order_of_the_document(model):
    async with api(model) as running:
        asked = {"service": "chat", "strategy_id": "cost_performance_scoring", "configuration": {"choose": "knee"}}
        status, body, _ = await running.post("/optimization/strategies", asked)
        assert (status, body["status"], body["validation"]) == (201, "registered", "passed")
        plan = running.log.sent[0][0].args.document.strategy
        assert (plan.name, plan.choose) == ("cost_performance_scoring", "knee")
        for wrong, status in (
            ({"strategy_id": "prompt-compression-v1"}, 400), ({"configuration": {"chose": "knee"}}, 400),
            ({"webhook_url": "https://evil.test"}, 422), ({"service": "nobody"}, 404),
        ):  # fmt: skip
            assert (await running.post("/optimization/strategies", {**asked, **wrong}))[0] == status, wrong
        assert len(running.log.sent) == 1


async def test_a_decision_is_decided_again_with_other_settings(model):
    async with api(model) as running:
        decided = (await running.get("/decisions?status=decided&action=open-trial&limit=1"))[1]["decisions"][0]
        path = f"/decisions/{decided['decision_id']}/what-if"
        status, same, _ = await running.post(path, {})
        assert (status, same["after"][0]["decision_id"]) == (200, decided["decision_id"])
        assert same["before"] == decided["data"]
        status, other, _ = await running.post(path, {"settings": {"trial.steps": [5, 100]}})
        assert status == 200 and other["document"]["trial"]["steps"] == [5, 100]
        assert other["after"][0]["split"]["trial"]["share"] == 0.05
        assert (await running.post(path, {"settings": {"mode": "loud"}}))[0] == 400
        assert (await running.post(path, {"settings": {"arms.nobody.model": "x"}}))[0] == 422
        assert (await running.post("/decisions/none/what-if", {}))[0] == 404
        assert running.log.sent == []


async def test_closed_windows_come_as_parquet_with_the_rows_of_the_csv(model, monkeypatch):
    import io

    import pyarrow.parquet as pq

    async with api(model) as running:
        _, text, _ = await running.get("/services/chat/aggregates.csv")
        status, raw, headers = await running.get("/services/chat/aggregates.parquet")
        table = pq.read_table(io.BytesIO(raw))
        assert (status, headers["Content-Type"]) == (200, "application/vnd.apache.parquet")
        lines = text.decode().splitlines()
        assert table.column_names == lines[0].split(",")
        assert table.num_rows == len(lines) - 1 > 0
        assert sum(table["count"].to_pylist()) == sum(int(line.split(",")[7]) for line in lines[1:])
        for name in ("pyarrow", "pyarrow.parquet"):
            monkeypatch.setitem(sys.modules, name, None)
        status, body, _ = await running.get("/services/chat/aggregates.parquet")
        assert (status, body["error"]) == (501, "not_installed")
        assert "llm-auto-optimizer[parquet]" in body["detail"]


async def test_the_longest_parameters_the_document_allows_fit_into_the_request_line(model):
    async with api(model) as running:
        texts = dict.fromkeys(("service", "actor", "command"), "𝄞" * 200)
        assert (await running.get("/commands", params=texts))[:2] == (200, {"commands": [], "next_cursor": ""})
