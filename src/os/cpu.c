/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.c: which instructions may be used, and how many processors.
 *
 * A level counts only when the processor has all its extensions (CPUID) and the system saves its registers (XGETBV):
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections 14.3 and 15.2. */
#include "os/os.h"

#include "os/cgroup.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

const char *const fv_isa_names[FV_ISAS + 1] = {"base", "neon", "avx2", "avx512", NULL};

#if defined(__x86_64__)
static bool all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

static uint32_t saved_registers(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static fv_isa detect(void) {
  const uint32_t ymm = 0x6, zmm = 0xe6;
  const uint32_t leaf1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
  const uint32_t leaf7 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !all(c, leaf1) || !all(saved_registers(), ymm)) return FV_ISA_BASE;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !all(b, bit_AVX2)) return FV_ISA_BASE;
  return all(b, leaf7) && all(saved_registers(), zmm) ? FV_ISA_AVX512 : FV_ISA_AVX2;
}
#elif defined(__aarch64__)
static fv_isa detect(void) { return FV_ISA_NEON; } /* part of the architecture */
#else
static fv_isa detect(void) { return FV_ISA_BASE; }
#endif

/* Levels build on those before, except that NEON is of another family. */
static bool includes(fv_isa level, fv_isa isa) {
  if (isa == FV_ISA_BASE || isa == level) return true;
  return isa < level && isa != FV_ISA_NEON;
}

/* FV_ISAS when FOVEA_ISA asks for what is not there. */
static fv_isa chosen(fv_isa best) {
  const char *name = getenv("FOVEA_ISA");
  if (!name || !*name) return best;
  for (fv_isa isa = FV_ISA_BASE; isa < FV_ISAS; isa++)
    if (strcmp(name, fv_isa_names[isa]) == 0 && includes(best, isa)) return isa;
  return FV_ISAS;
}

static _Atomic int level = -1;

fv_status fv_cpu_init(void) {
  fv_isa best = detect(), isa = chosen(best);
  level = (int)(isa == FV_ISAS ? best : isa);
  if (isa != FV_ISAS) return FV_OK;
  fv_text all_names = {0};
  for (fv_isa i = FV_ISA_BASE; i < FV_ISAS; i++)
    if (includes(best, i)) fv_text_printf(&all_names, "%s%s", i ? ", " : "", fv_isa_names[i]);
  fv_status status = FV_FAIL(FV_ERR_REQUEST, "FOVEA_ISA: expected a level this processor has (%s), got '%s'",
                             all_names.s ? all_names.s : "base", getenv("FOVEA_ISA"));
  fv_text_free(&all_names);
  return status;
}

fv_isa fv_cpu_isa(void) {
  int isa = level;
  if (isa >= 0) return (fv_isa)isa;
  fv_isa best = detect(), wish = chosen(best);
  isa = (int)(wish == FV_ISAS ? best : wish);
  level = isa;
  return (fv_isa)isa;
}

bool fv_cpu_has(fv_isa isa) { return includes(fv_cpu_isa(), isa); }

int fv_cpu_count(void) {
  cpu_set_t set;
  long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
  double quota = fv_cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup");
  if (quota > 0) n = FV_MIN(n, (long)ceil(quota));
  return (int)FV_MAX(n, 1);
}
