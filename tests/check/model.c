int ck_unused_;
