#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace rankfold {

/// Every finished run below a folder in the result schema of PEFT's method comparison
/// (huggingface/peft, method_comparison: run_info, train_info, meta_info), one JSON document a run,
/// with a name made of the run's folder ("movies--minilm--lora--rank=8--seed=1.json").
///
/// What has no counterpart here is null, or empty. A metric is called "test " and its name,
/// whatever part of the data it was measured on, which `run_info.train_config.score_on` tells; a
/// step is an epoch; memory is the process's largest resident set.
///
/// Throws Error naming the folder or file: no finished run, a run.json that is not what finetune
/// writes.
std::vector<std::pair<std::string, std::string>> peft_results(const std::filesystem::path& folder);

}  // namespace rankfold
