"""The simulator's traffic asks the reference Orchestrator where a request goes, without a network between."""

from app.core.events import SegmentParts
from app.sim.orchestrator_state import OrchestratorState, RouteRequest
from app.sim.service_run import Routed


class StateRouter:
    """A ``service_run.Router`` over the state of an Orchestrator: the choice of the split traffic follows now."""

    def __init__(self, state: OrchestratorState) -> None:
        self._state = state

    def route(self, service: str, unique: str, session_id: str, segment: SegmentParts) -> Routed | None:
        """None when the Orchestrator has no split of ``service``."""
        request = RouteRequest(
            service=service,
            request_id=unique,
            session_id=session_id,
            tenant=segment.tenant,
            task_type=segment.task_type,
            region=segment.region,
        )
        routed = self._state.route(request)
        if routed is None:
            return None
        mirror = routed.mirror.arm if routed.mirror is not None else ""
        return Routed(routed.arm, routed.slice, routed.version, routed.session_group, routed.score_rate, mirror)
