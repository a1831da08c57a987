/*
 * A vCPU's state for a person: what is known of it when its VM ends.
 */
#pragma once

struct vcpu;

void report_vcpu(struct vcpu *v);

/* How many exits there were, and of which events. */
void report_exits(const struct vcpu *v);
