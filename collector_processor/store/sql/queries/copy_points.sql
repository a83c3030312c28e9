-- Columns in the order of rows.COLUMNS.
COPY benchmark_data.points (
    id, timestamp, task_id, task_type, complexity, tenant_id, agent_id, agent_name, model_family, strategy, confidence,
    explored, propensity, success, partial_success, latency_ms, time_to_first_action_ms, tokens_used, input_tokens,
    thinking_tokens, output_tokens, cost_usd, tool_call_count, tool_call_success_rate, token_efficiency, overall_score,
    caws_compliant, budget_compliant, passed_all_mandatory, final_outcome, total_reward, reward_version,
    adjusted_count, group_id, attempt, valid, rl_ready, state, withheld, gates_failed, gate_severities, completeness,
    ended_by, convention, service_name, schema_version, revision, trace_id, span_id, record
) FROM STDIN (FORMAT BINARY)
