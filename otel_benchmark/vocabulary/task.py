"""Fields of the task: what was asked for, by whom, and how it is governed."""

from __future__ import annotations

from typing import Final

from otel_benchmark import attributes as a
from otel_benchmark.fields import Value, make
from otel_benchmark.vocabulary.shared import GOVERNANCE, TENANT

TASK: Final = (
    make("id", a.TASK_ID, Value.IDENTIFIER, parameter="task_id", task="task_id id uuid", result="task_id"),
    make(
        "type",
        a.TASK_TYPE,
        Value.IDENTIFIER,
        parameter="task_type",
        task="task_type type category kind",
        result="task_type",
    ),
    make(
        "complexity",
        a.TASK_COMPLEXITY,
        Value.IDENTIFIER,
        parameter="complexity",
        task="complexity difficulty",
        result="complexity",
    ),
    make(
        "requirements",
        a.TASK_REQUIREMENTS,
        Value.TEXTS,
        parameter="requirements",
        task="requirements required_capabilities capabilities",
    ),
    make(
        "description", a.TASK_DESCRIPTION, Value.TEXT, parameter="description", task="description title goal objective"
    ),
    make(
        "parent_id",
        a.TASK_PARENT_ID,
        Value.IDENTIFIER,
        parameter="parent_task_id parent_id",
        task="parent_task_id parent_id parent.id",
    ),
    make("group_id", a.TASK_GROUP_ID, Value.IDENTIFIER, parameter="group_id", task="group_id group.id"),
    make(
        "attempt", a.TASK_ATTEMPT, Value.INTEGER, parameter="attempt", task="attempt attempt_number", result="attempt"
    ),
    make("reward", a.TASK_REWARD, Value.NUMBER, result="total_reward reward"),
    make(
        "tenant.id",
        a.TENANT_ID,
        Value.IDENTIFIER,
        parameter="tenant_id tenant",
        task=f"{TENANT} tenant",
        result="tenant_id",
    ),
    make("tenant.hash", a.TENANT_HASH, Value.IDENTIFIER, parameter="tenant_hash", task="tenant_hash"),
    make("user.id", a.USER_ID, Value.IDENTIFIER, parameter="user_id", task="user_id user.id user"),
    make(
        "conversation.id",
        a.GEN_AI_CONVERSATION_ID,
        Value.IDENTIFIER,
        parameter="conversation_id session_id thread_id",
        task="conversation_id session_id thread_id conversation.id session.id thread.id",
    ),
    *GOVERNANCE,
)
