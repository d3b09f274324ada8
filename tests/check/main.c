/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the checker's command line. One program holds every row of the tables to its contract:
 *   check op [NAME]                               the rows themselves: documents, attributes, shapes, references
 *   check kernel [OP] [--isa NAME] [--bench]      every kernel against its operation's reference
 *   check grad [OP]                               every gradient against differences
 *   check graph [N]                               random graphs: passes, planner and executor against the interpreter
 *   check attention [NAME]                        every mechanism: slopes, masks, kernels, refusals
 *   check golden DIR                              attention mechanisms against the reference files of a directory
 *   check model [RECIPE] [--full]                 recipes: whole runs, and what may happen to them
 *                                                 (also with FOVEA_TEST_FULL=1: --full; with FOVEA_TEST_FEW=1
 *                                                 one preset a recipe)
 *   check self                                    that the checks above can fail
 * It ends with "N passed, N failed, N skipped" and the exit status 1 when anything failed. */
#include "check.h"

#include <stdlib.h>

static const struct {
  const char *name;
  void (*run)(ck_report *r);
} modes[] = {
    {"op", ck_mode_op},       {"kernel", ck_mode_kernel}, {"grad", ck_mode_grad},
    {"graph", ck_mode_graph}, {"attention", ck_mode_attention}, {"golden", ck_mode_golden},
    {"model", ck_mode_model}, {"self", ck_mode_self},
};

static int usage(const char *problem, const char *what) {
  fprintf(stderr,
          "check: %s%s\nusage: check op|kernel|grad|graph|attention|golden|model|self [NAME] [--isa NAME] [--seed N] "
          "[--bench] [--full]\n",
          problem, what);
  return 2;
}

static bool parse_isa(const char *name, ck_report *r) {
  for (int i = 0; i < FV_ISAS; i++)
    if (strcmp(fv_isa_names[i], name) == 0) {
      r->has_isa = true;
      r->isa = (fv_isa)i;
      return true;
    }
  return false;
}

int main(int argc, char **argv) {
  ck_report r = {.seed = 1, .time_limit = 20, .full = getenv("FOVEA_TEST_FULL") != NULL,
                 .few = getenv("FOVEA_TEST_FEW") != NULL};
  if (argc < 2) return usage("expected a mode", "");
  for (int i = 2; i < argc; i++) {
    const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    int64_t n;
    if (strcmp(a, "--bench") == 0) {
      r.bench = true;
    } else if (strcmp(a, "--full") == 0) {
      r.full = true;
    } else if (strcmp(a, "--isa") == 0 && value != NULL) {
      if (!parse_isa(value, &r)) return usage("--isa: expected base, neon, avx2 or avx512, got ", value);
      i++;
    } else if (strcmp(a, "--seed") == 0 && value != NULL) {
      if (!fv_parse_int(value, &n)) return usage("--seed: expected a number, got ", value);
      r.seed = (uint64_t)n;
      i++;
    } else if (a[0] == '-' || r.only != NULL) {
      return usage("what is this: ", a);
    } else {
      r.only = a;
    }
  }
  if (fv_cpu_init() != FV_OK) return usage(fv_error_message(), "");
  for (size_t i = 0; i < FV_COUNT(modes); i++) {
    if (strcmp(modes[i].name, argv[1]) != 0) continue;
    r.mode = modes[i].name;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("check %s: seed %llu, level %s\n", r.mode, (unsigned long long)r.seed, fv_isa_names[fv_cpu_isa()]);
    modes[i].run(&r);
    printf("%lld passed, %lld failed, %lld skipped\n", (long long)r.passed, (long long)r.failed, (long long)r.skipped);
    return r.failed > 0 ? 1 : 0;
  }
  return usage("unknown mode ", argv[1]);
}
