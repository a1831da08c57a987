/*
 * A vCPU's state for a person: what is known of it when its VM ends.
 */
#pragma once

struct vcpu;

void report_vcpu(struct vcpu *v);

/*
 * Make the counters of the status view, and say what they have come to: all
 * exits, and those of each reason.
 */
void report_count(struct vcpu *v);
void report_exits(const struct vcpu *v);
