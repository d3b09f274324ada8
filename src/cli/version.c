/* SPDX-License-Identifier: Apache-2.0 */
/* version.c: which fovea this is. */
#include "cli.h"

static int run(const cli_args *a) {
  if (a->json) return cli_print_json(json_pack("{s:s}", "version", FV_VERSION));
  printf("fovea %s\n", FV_VERSION);
  return 0;
}

static const cli_option options[] = {CLI_JSON, {0}};
extern const cli_command cli_version;
const cli_command cli_version = {.name = "version", .usage = "", .options = options, .run = run, .doc = "the version"};
