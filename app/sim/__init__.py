"""The closed-loop simulator: real traces, stated arms, injected faults, the whole product around them."""
