/* SPDX-License-Identifier: Apache-2.0 */
/* dot.c: the graph of a training step, as it will run, for people to look at. */
#include "train/trainer.h"

fv_status fv_plan_dot(const fv_train_request *rq, char **dot) {
  fv_trainer *t;
  *dot = NULL;
  FV_TRY(fv_trainer_new(rq, true, &t));
  fv_status status = fv_graph_dot(fv_program_graph(t->run.of[0].program), dot);
  fv_trainer_free(t);
  return status;
}
