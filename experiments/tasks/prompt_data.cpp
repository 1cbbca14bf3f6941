#include "experiments/tasks/prompt_data.h"

#include <algorithm>
#include <map>
#include <string>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "experiments/tasks/prompt_own.h"
#include "experiments/tasks/sources.h"
#include "experiments/tasks/task_files.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

struct FileNames {
  std::vector<std::string> train, dev;  // of each the first one that is there
};

FileNames file_names(const PromptTask& task) {
  if (task.format == PromptFormat::squad) return {{"train-v1.1.json"}, {"dev-v1.1.json"}};
  if (task.format == PromptFormat::drop)
    return {{"drop_dataset_train.json"}, {"drop_dataset_dev.json"}};
  constexpr std::string_view forms[] = {".jsonl", ".tsv"};
  const std::span allowed(forms, task.glue_fields.empty() ? 1 : 2);
  return {train_names(allowed), dev_names(allowed)};
}

/// The first `count` rows of the file's permutation; all where there are fewer.
std::vector<PromptExample> draw(const PromptTask& task, const fs::path& file, std::size_t count,
                                std::uint64_t seed) {
  std::size_t rows = 0;
  visit_prompt_rows(task, file, [&](const PromptRowMaker&) { ++rows; });
  if (rows == 0) throw Error("{}: found no rows, expected rows", printable(file.string()));
  std::vector<std::size_t> order = RandomStream(seed, "prompt-rows").permutation(rows);
  order.resize(std::min(count, rows));
  std::map<std::size_t, std::size_t> places;  // in the order, by row
  for (std::size_t i = 0; i < order.size(); ++i) places.emplace(order[i], i);
  const PromptWriter writer(task);
  std::vector<PromptExample> examples(order.size());
  std::size_t row = 0;
  visit_prompt_rows(task, file, [&](const PromptRowMaker& make) {
    if (const auto place = places.find(row++); place != places.end())
      examples[place->second] = writer.write(make());
  });
  return examples;
}

void tell_shared(PromptDataset& dataset) {
  for (const auto& [name, rows] :
       {std::pair("held-out", &dataset.held_out), {"dev", &dataset.dev}}) {
    const std::size_t shared = count_shared(dataset.train, *rows);
    if (shared > 0)
      dataset.notes.push_back(shared_note(dataset.train_file, shared, rows->size(), name));
  }
}

}  // namespace

std::uint64_t texts_hash(const PromptExample& example) {
  Example texts;
  texts.text = example.prompt;
  texts.pair = join(example.options, "\n");
  return texts_hash(texts);
}

PromptDataset load_prompt_dataset(const PromptTask& task, const fs::path& data,
                                  const PromptSizes& sizes, std::uint64_t seed,
                                  std::span<const Split> wanted) {
  const auto wants = [&](Split split) { return std::ranges::find(wanted, split) != wanted.end(); };
  const FileNames names = file_names(task);
  TaskFiles files{task.name, task.folder, names.train};
  files.names.insert(files.names.end(), names.dev.begin(), names.dev.end());
  const fs::path folder = find_task_folder(files, data);
  PromptDataset dataset;
  if (wants(Split::train) || wants(Split::held_out)) {
    dataset.train_file = find_task_file(folder, names.train);
    std::vector<PromptExample> drawn =
        draw(task, dataset.train_file, sizes.train + sizes.held_out, seed);
    if (drawn.size() <= sizes.held_out)
      throw Error("{}: found {} rows, expected more than the {} that are held out",
                  printable(dataset.train_file.string()), drawn.size(), sizes.held_out);
    const auto border = drawn.end() - static_cast<std::ptrdiff_t>(sizes.held_out);
    if (wants(Split::held_out)) dataset.held_out.assign(border, drawn.end());
    drawn.erase(border, drawn.end());
    if (wants(Split::train)) dataset.train = std::move(drawn);
  }
  if (wants(Split::dev)) {
    dataset.dev_file = find_task_file(folder, names.dev);
    dataset.dev = draw(task, dataset.dev_file, sizes.dev, seed);
  }
  return dataset;
}

PromptDataset load_prompt_rows(const Task& task, const TaskChoice& choice, std::size_t max_train,
                               std::uint64_t seed, std::span<const Split> wanted) {
  PromptDataset dataset;
  if (is_table_file(choice.data)) {
    dataset = load_own_prompt_rows(*task.prompt, choice);
  } else {
    PromptSizes sizes;
    sizes.train = std::max(sizes.train, max_train);
    sizes.held_out = task.prompt->held_out_rows;
    dataset = load_prompt_dataset(*task.prompt, choice.data, sizes, seed, wanted);
  }
  if (max_train > 0 && dataset.train.size() > max_train) dataset.train.resize(max_train);
  tell_shared(dataset);
  return dataset;
}

const std::vector<PromptExample>& scored_examples(const Task& task, const PromptDataset& dataset,
                                                  const std::string& score_on) {
  return expect_examples(task, score_on, rows_of(dataset, scored_split(score_on)));
}

}  // namespace rankfold
