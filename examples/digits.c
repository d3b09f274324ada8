/* SPDX-License-Identifier: Apache-2.0 */
/* digits.c: trains a small attention model on the built-in digits and asks it about one of them.
 *   cc -o digits digits.c $(pkg-config --cflags --libs fovea) && ./digits */
#include <fovea/fovea.h>
#include <stdio.h>

/* Told what happens while it trains. */
static void on_event(void *arg, const fv_train_event *e) {
  (void)arg;
  if (e->text) printf("%s\n", e->text);
  else if (e->step == e->steps && e->metric_name)
    printf("step %lld: %s %.3f\n", (long long)e->step, e->metric_name, e->metric);
}

static fv_status work(const char *out) {
  const fv_setting sets[] = {{"steps", "60"}, {"batch", "32"}, {"width", "8"}};
  fv_train_request request = {.recipe = "image-classify",
                              .preset = "tiny",
                              .data = "digits",
                              .out = out,
                              .sets = sets,
                              .n_sets = 3,
                              .report = on_event};
  fv_model *model = NULL;
  char *json = NULL;
  fv_status status = fv_train(&request, &json);
  if (status == FV_OK) printf("trained: %s\n", json);
  fv_string_free(json);
  json = NULL;
  if (status == FV_OK) status = fv_model_open(out, 0, &model);
  if (status == FV_OK)
    status = fv_model_predict(model, "test:0", 3, &json); /* the first of the digits kept for testing */
  if (status == FV_OK) printf("the first test digit: %s\n", json);
  fv_string_free(json);
  fv_model_free(model);
  return status;
}

int main(int argc, char **argv) {
  fv_status status = work(argc > 1 ? argv[1] : "digits-run");
  if (status != FV_OK) fprintf(stderr, "digits: error: %s\n", fv_error_message());
  return fv_status_exit_code(status);
}
