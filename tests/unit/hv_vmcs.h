/*
 * Included before VMX sources that are built for the host: a VMCS that the test
 * can look into, and that notes who looks.
 */
#pragma once

#include "hv_fake.h"
#include "x86/vmcs.h"

uint64_t fake_vmread(unsigned field);
void fake_vmwrite(unsigned field, uint64_t value);

#define vmread		     fake_vmread
#define vmread32(field)	     ((uint32_t)fake_vmread(field))
#define vmread_to(to, field) (*(to) = fake_vmread(field))
#define vmwrite		     fake_vmwrite
