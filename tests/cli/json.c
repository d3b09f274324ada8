/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: standard input must be one JSON object and nothing else. Each argument is a member to be there
 * ("metrics.accuracy"), whose value is printed, a line each; of an array its length. */
#include <jansson.h>
#include <string.h>

static const json_t *member(const json_t *at, char *path) {
  for (char *key = strtok(path, "."); key && at; key = strtok(NULL, ".")) at = json_object_get(at, key);
  return at;
}

static void print(const json_t *v) {
  if (json_is_string(v)) puts(json_string_value(v));
  else if (json_is_array(v)) printf("%zu\n", json_array_size(v));
  else json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_COMPACT), putchar('\n');
}

int main(int argc, char **argv) {
  json_error_t error;
  json_t *root = json_loadf(stdin, JSON_REJECT_DUPLICATES, &error);
  int missing = 0;
  if (!json_is_object(root)) fprintf(stderr, "not one JSON object: %s\n", root ? "another value" : error.text);
  for (int i = 1; i < argc && json_is_object(root); i++) {
    const json_t *v = member(root, argv[i]);
    if (v) print(v);
    else fprintf(stderr, "no member\n"), missing = 1;
  }
  int code = !json_is_object(root) || missing;
  json_decref(root);
  return code;
}
