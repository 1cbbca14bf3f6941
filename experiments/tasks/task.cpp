#include "experiments/tasks/task.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/sources.h"

namespace rankfold {
namespace {

using Loader = Dataset (*)(const Task&, const std::filesystem::path&, RowsNeeded);

std::vector<Task> make_tasks() {
  std::vector<Task> all = {
      {"cola", false, 2, false, {"matthews_correlation"}},
      {"sst2", false, 2, false, {"accuracy"}},
      {"stsb", true, 1, true, {"pearson", "spearman"}},
  };
  for (const char* set : {"movies", "products", "tweets", "editorials"}) {
    all.push_back({set, false, 2, false, {"accuracy", "f1", "matthews_correlation"}});
  }
  for (const char* set : {"movies", "products", "tweets", "editorials"}) {
    all.push_back({std::string(set) + "-regression", true, 1, false, {"pearson", "spearman"}});
  }
  return all;
}

Loader find_loader(const Task& task) {
  const bool glue = task.name == "cola" || task.name == "sst2" || task.name == "stsb";
  return glue ? load_glue : load_sentiment;
}

}  // namespace

const std::vector<Task>& tasks() {
  static const std::vector<Task> all = make_tasks();
  return all;
}

const Task& find_task(std::string_view name) {
  std::vector<std::string> names;
  for (const Task& task : tasks()) {
    if (task.name == name) return task;
    names.push_back(task.name);
  }
  throw unknown_name("task", name, names);
}

const std::vector<Example>& examples(const Dataset& dataset, Split split) {
  switch (split) {
    case Split::train:
      return dataset.train;
    case Split::held_out:
      return dataset.held_out;
    case Split::dev:
      break;
  }
  return dataset.dev;
}

const std::vector<Example>& scored_examples(const Task& task, const Dataset& dataset,
                                            const std::string& score_on) {
  if (score_on != "dev" && score_on != "held-out")
    throw UsageError("--score-on is '{}'; expected dev or held-out", printable(score_on));
  const std::vector<Example>& chosen = score_on == "dev" ? dataset.dev : dataset.held_out;
  if (chosen.empty())
    throw UsageError("--score-on {}: task {} has no such examples", score_on, task.name);
  return chosen;
}

Dataset load_dataset(const Task& task, const std::filesystem::path& data, std::size_t max_train,
                     RowsNeeded needed) {
  Dataset dataset = find_loader(task)(task, data, needed);
  if (max_train > 0 && dataset.train.size() > max_train) dataset.train.resize(max_train);
  return dataset;
}

}  // namespace rankfold
