"""The state machine, written down a second time: a changed arrow must be changed here too."""

import pytest

from offload.core.states import FINAL, LIVE, TRANSITIONS, Move, State, sources, target, told

ARROWS = {
    State.PENDING: {
        Move.CLAIM: State.RUNNING,
        Move.CANCEL: State.CANCELLED,
        Move.EXPIRE: State.CANCELLED,
    },
    State.RUNNING: {
        Move.COMPLETE: State.COMPLETE,
        Move.RETRY: State.PENDING,
        Move.RELEASE: State.PENDING,
        Move.FAIL: State.FAILED,
        Move.BURY: State.DEAD,
        Move.CANCEL: State.CANCELLED,
    },
    State.COMPLETE: {},
    State.FAILED: {},
    State.DEAD: {},
    State.CANCELLED: {},
}


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("source", State)
def test_each_pair_leads_where_it_is_said_to_or_nowhere(source: State, move: Move) -> None:
    if move in ARROWS[source]:
        assert target(source, move) is ARROWS[source][move]
    else:
        with pytest.raises(ValueError, match=f"a job that is {source} cannot {move}"):
            target(source, move)


@pytest.mark.parametrize("move", Move)
def test_sources_are_where_a_move_is_possible(move: Move) -> None:
    assert sources(move) == {source for source, moves in ARROWS.items() if move in moves}
    assert sources(move), "a move that nothing can make"


def test_final_states_are_those_that_nothing_leaves() -> None:
    assert {State.COMPLETE, State.FAILED, State.DEAD, State.CANCELLED} == FINAL
    assert {State.PENDING, State.RUNNING} == LIVE


def test_every_state_can_be_reached() -> None:
    reached = {State.PENDING}
    for _ in State:
        reached |= {TRANSITIONS[arrow] for arrow in TRANSITIONS if arrow[0] in reached}
    assert reached == set(State)


def test_the_public_strings() -> None:
    assert [str(state) for state in State] == [
        "pending",
        "running",
        "complete",
        "failed",
        "dead",
        "cancelled",
    ]
    assert State("complete") is State.COMPLETE


def test_users_are_told_of_states_and_not_of_moves_that_lead_there() -> None:
    assert {move: told(move) for move in ARROWS[State.RUNNING]} == {
        Move.COMPLETE: "complete",
        Move.RETRY: "retry",
        Move.RELEASE: "release",
        Move.FAIL: "failed",
        Move.BURY: "dead",
        Move.CANCEL: "cancelled",
    }
