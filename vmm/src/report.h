/*
 * A vCPU's state for a person: what is known of it when its VM ends.
 */
#pragma once

struct vcpu;

void report_vcpu(struct vcpu *v);
