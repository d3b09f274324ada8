#include "ir/ir.h"
fv_status fv_pass_fuse(fv_graph *g) { (void)g; return FV_OK; }
