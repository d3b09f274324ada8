/* SPDX-License-Identifier: Apache-2.0 */
/* mechanisms.c: the table of attention mechanisms as callers see it. */
#include "attention/attention.h"

const fv_attention_def *fv_attention_find(const char *name) {
  for (int i = 0; fv_attentions[i]; i++)
    if (!strcmp(fv_attentions[i]->name, name)) return fv_attentions[i];
  return NULL;
}

int fv_mechanism_count(void) {
  int n = 0;
  while (fv_attentions[n]) n++;
  return n;
}

fv_mechanism_info fv_mechanism_get_info(int i) {
  const fv_attention_def *m = fv_attentions[i];
  return (fv_mechanism_info){.name = m->name, .doc = m->doc, .paper = m->paper};
}
