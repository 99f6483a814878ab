"""Tell the optimizer of an answered request and of its score over HTTP: no Kafka client needed.

    python emit.py [SERVICE]

Address: LLM_OPTIMIZER_API (default http://127.0.0.1:8088, what `llm-optimizer serve` listens on); LLM_OPTIMIZER_API_KEY
where keys are required.
"""

import json
import os
import sys
import urllib.error
import urllib.request
import uuid


def events(service: str) -> list[dict[str, object]]:
    """An answer and what a judge thinks of it; the two may come in different calls, hours apart."""
    request = str(uuid.uuid4())
    common = {"specversion": "1.0", "source": "/examples/02"}
    return [
        common
        | {
            "id": f"{request}-done",
            "type": "io.llm-platform.response.completed",
            "data": {
                "request_id": request,
                "service": service,
                "model": "gpt-4o-mini",
                "latency_ms": 912.5,
                "input_tokens": 640,
                "output_tokens": 96,
                "cost_usd": 0.00015,
                "status": "ok",
            },
        },
        common
        | {
            "id": f"{request}-judged",
            "type": "io.llm-platform.feedback.recorded",
            "data": {"request_id": request, "service": service, "source": "judge", "quality": 0.86},
        },
    ]


def main() -> int:
    service = sys.argv[1] if len(sys.argv) > 1 else "support-chat"
    url = os.environ.get("LLM_OPTIMIZER_API", "http://127.0.0.1:8088") + "/api/v1/events"
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    if key := os.environ.get("LLM_OPTIMIZER_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    asked = urllib.request.Request(url, json.dumps(events(service)).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            print(f"{answer.status} {answer.read().decode()}")
    except urllib.error.HTTPError as error:
        print(f"{error.code} {error.read().decode()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
