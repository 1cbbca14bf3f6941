#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "analysis/logs/event_log.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "experiments/training/training_session.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// Runs of five steps an epoch.
class Evaluations : public Workplace {
 protected:
  RunSettings wanted(const std::map<std::string, std::string>& values) const {
    RunSettings result = settings();
    for (const auto& [name, value] : values) result.values[name] = value;
    return result;
  }
  RunResult run(const std::map<std::string, std::string>& values,
                const std::string& out = "out") const {
    return finetune(wanted(values), folder / out, builtin_registry());
  }
  std::vector<std::size_t> steps_of(const RunResult& result) const {
    std::vector<std::size_t> steps;
    for (const EvaluationResult& evaluation : result.evaluations) steps.push_back(evaluation.step);
    return steps;
  }
  std::string adapter(const std::string& out) const {
    return read_text(folder / out / "adapter/adapter_model.safetensors");
  }
  /// The last value that the event file tells, by tag.
  std::map<std::string, double> logged(const std::string& out) const {
    std::map<std::string, ScalarEvent> last;
    for (const auto& entry : fs::directory_iterator(folder / out))
      if (entry.path().filename().native().starts_with("events"))
        for (const ScalarEvent& event : read_scalars(entry.path()).events)
          if (!last.contains(event.tag) || event.step >= last[event.tag].step)
            last[event.tag] = event;
    std::map<std::string, double> values;
    for (const auto& [tag, event] : last) values[tag] = event.value;
    return values;
  }
};

TEST_F(Evaluations, ComeAfterEveryEpochOrEveryNSteps) {
  const RunResult by_epoch = run({}, "epochs"), by_step = run({{"evaluate-every", "3"}}, "steps");
  EXPECT_EQ(steps_of(by_epoch), (std::vector<std::size_t>{5, 10}));
  EXPECT_EQ(steps_of(by_step), (std::vector<std::size_t>{3, 6, 9, 10}));
  EXPECT_EQ(by_epoch.epochs[0].scores, by_epoch.evaluations[0].scores);
  EXPECT_TRUE(by_step.epochs[0].scores.empty());
  EXPECT_EQ(by_step.epochs[1].scores, by_step.evaluations[3].scores);
  EXPECT_EQ(by_step.kept_step, 10U);
  EXPECT_EQ(by_step.scores, by_step.evaluations.back().scores);
  // Scoring changes nothing of training.
  EXPECT_EQ(adapter("epochs"), adapter("steps"));
  const RunResult read = read_run(folder / "steps/run.json");
  EXPECT_EQ(steps_of(read), steps_of(by_step));
  EXPECT_EQ(read.evaluations[1].loss, by_step.evaluations[1].loss);
  EXPECT_EQ(read.evaluations[1].scores, by_step.evaluations[1].scores);
  EXPECT_EQ(read.kept_step, 10U);
  EXPECT_EQ(read.steps, 10U);
  EXPECT_EQ(read.forwards, 10U);
}

TEST_F(Evaluations, KeepTheBestByScoreOrByLoss) {
  for (const char* by : {"score", "loss"}) {
    const std::map<std::string, std::string> values{{"evaluate-every", "2"},  {"keep", "best"},
                                                    {"keep-by", by},          {"lr", "0.3"},
                                                    {"schedule", "constant"}, {"steps", "16"}};
    const RunResult result = run(values, by);
    const bool by_loss = std::string(by) == "loss";
    const auto value = [&](const EvaluationResult& evaluation) {
      return by_loss ? -evaluation.loss : evaluation.scores.at("matthews_correlation");
    };
    const auto best = std::ranges::max_element(result.evaluations, {}, value);
    ASSERT_NE(best, result.evaluations.end() - 1) << "the last one is the best; nothing is shown";
    EXPECT_EQ(result.kept_step, best->step);
    EXPECT_EQ(result.scores, best->scores);
    EXPECT_NEAR(logged(by).at("eval/matthews_correlation"), best->scores.at("matthews_correlation"),
                1e-6);

    // What is saved is what was scored then.
    EvaluationRequest request;
    request.model = folder / "model";
    request.adapter = folder / by / "adapter";
    request.data = folder / "data";
    request.threads = 1;
    EXPECT_EQ(evaluate(request, builtin_registry()).scores, result.scores);
  }
}

TEST_F(Evaluations, EndARunThatGetsNoBetter) {
  const RunResult result =
      run({{"evaluate-every", "2"}, {"patience", "2"}, {"lr", "1e-9"}, {"steps", "100"}});
  EXPECT_TRUE(result.stopped_early);
  EXPECT_EQ(steps_of(result), (std::vector<std::size_t>{2, 4, 6}));
  EXPECT_EQ(result.steps, 6U);
  ASSERT_EQ(result.epochs.size(), 2U);
  EXPECT_TRUE(read_run(folder / "out/run.json").stopped_early);
}

TEST_F(Evaluations, OfDynamicalLowRankKeepTheRanksOfTheBest) {
  const std::map<std::string, std::string> values{
      {"method", "dlrt"},  {"rank", "4"}, {"evaluate-every", "2"},  {"keep", "best"},
      {"keep-by", "loss"}, {"lr", "0.3"}, {"schedule", "constant"}, {"steps", "12"}};
  const RunResult result = run(values);
  ASSERT_NE(result.kept_step, 12U);
  EvaluationRequest request;
  request.model = folder / "model";
  request.adapter = folder / "out/adapter";
  request.data = folder / "data";
  request.threads = 1;
  EXPECT_EQ(evaluate(request, builtin_registry()).scores, result.scores);
}

TEST_F(Evaluations, CountStepsInPlaceOfEpochs) {
  const RunResult result = run({{"steps", "7"}});
  EXPECT_EQ(result.steps, 7U);
  ASSERT_EQ(result.epochs.size(), 2U);
  EXPECT_EQ(steps_of(result), (std::vector<std::size_t>{5, 7}));
  EXPECT_TRUE(std::isfinite(result.epochs[1].loss));
}

TEST_F(Evaluations, TellOfAWarmUpThatIsLongerThanTheRun) {
  const auto told = [&](const char* steps) {
    const auto notes =
        run({{"steps", steps}, {"warmup", "7"}, {"zo-epsilon", "0.001"}}, steps).notes;
    return std::ranges::count_if(notes, [](const std::string& note) {
      return note ==
             "--warmup: the rate rises for 7 steps and the run has 7, so that it never "
             "reaches --lr";
    });
  };
  EXPECT_EQ(told("7"), 1);
  EXPECT_EQ(told("8"), 0);
}

TEST_F(Evaluations, AccumulateBatchesOfAStep) {
  const RunResult result = run({{"accumulate", "2"}});
  // Two, two and one batches in each of two epochs.
  EXPECT_EQ(result.steps, 6U);
  EXPECT_EQ(result.forwards, 10U);
  EXPECT_EQ(steps_of(result), (std::vector<std::size_t>{3, 6}));
}

TEST_F(Evaluations, RefuseWhatDoesNotGoTogether) {
  const auto error = [&](const std::map<std::string, std::string>& values) {
    return error_of([&] { run(values, "refused"); });
  };
  EXPECT_THAT(error({{"task", "movies-regression"}, {"label-smoothing", "0.1"}}),
              HasSubstr("--label-smoothing is 0.1; task movies-regression has numbers for labels"));
  EXPECT_THAT(error({{"schedule", "polynomial"}, {"lr-end", "1"}}), HasSubstr("--lr-end is 1"));
  EXPECT_THAT(error({{"method", "dora"}, {"adapter-dropout", "0.1"}}), HasSubstr("normalises"));
  EXPECT_THAT(error({{"method", "none"}, {"rank", ""}, {"adapter-dropout", "0.1"}}),
              HasSubstr("--adapter-dropout is 0.1; [none] site"));
  EXPECT_THAT(error({{"keep", "first"}}), HasSubstr("known: last, best"));
  EXPECT_THAT(
      error({{"zo-samples", "2"}}),
      HasSubstr("--zo-samples is 2, which is for --optimizer zo-sgd or zo-adam; expected 1 with "
                "--optimizer adamw"));
  EXPECT_THAT(error({{"optimizer", "sgd"}, {"zo-epsilon", "1e-2"}}),
              HasSubstr("--zo-epsilon is 0.01, which is for --optimizer zo-sgd or zo-adam"));
  EXPECT_THAT(error({{"lr-end", "1e-4"}}),
              HasSubstr("--lr-end is 1e-4, which is for --schedule polynomial; expected 1e-7"));
  EXPECT_THAT(error({{"lr-power", "2"}, {"schedule", "cosine"}}), HasSubstr("--lr-power is 2"));
  for (const char* optimizer : {"sgd", "zo-sgd"})
    for (const char* name : {"beta1", "beta2", "epsilon"})
      EXPECT_THAT(error({{name, "0.5"}, {"optimizer", optimizer}, {"dropout", "0"}}),
                  HasSubstr(fmt::format("--{} is 0.5, which is for", name)));
  EXPECT_THAT(error({{"keep-by", "loss"}}),
              HasSubstr("--keep-by is loss, which is for --keep best, or --patience other than 0"));
  EXPECT_THAT(error({{"steps", "9999999999999999999"}}), HasSubstr("at most 1,000,000,000"));
  EXPECT_THAT(error({{"steps", "99999999999999999999"}}), HasSubstr("less than 2^64"));
  EXPECT_FALSE(fs::exists(folder / "refused"));
}

class Accumulation : public Workplace {};

TEST_F(Accumulation, GivesTheGradientOfTheUnion) {
  const auto device = make_cpu_device();
  const Method method = builtin_registry().at("lora");
  RunSettings wanted = settings();
  wanted.values["dropout"] = "0";
  const auto gradients = [&](const std::vector<std::vector<std::size_t>>& lengths, double& loss) {
    TrainingSession session(load_host(folder / "model", host_settings(wanted, 3), device), method,
                            wanted, 3, device, [](const std::vector<std::string>&) {});
    session.begin(optimizer_settings(wanted));
    for (const TrainedSpan& tensor : session.tensors())
      for (float& value : tensor.value) value += 0.1f;
    bool first = true;
    for (const std::vector<std::size_t>& of_batch : lengths) {
      Batch batch;
      batch.starts.push_back(0);
      for (const std::size_t length : of_batch) {
        for (std::size_t i = 0; i < length; ++i)
          batch.ids.push_back(static_cast<std::int32_t>(5 + (17 * length + 31 * i) % 90));
        batch.starts.push_back(batch.ids.size());
        batch.labels.push_back(static_cast<float>(length % 2));
      }
      batch.type_ids.assign(batch.ids.size(), 0);
      loss = first ? session.form_gradients(batch) : session.add_gradients(batch);
      first = false;
    }
    EXPECT_EQ(session.steps(), 1U);
    std::vector<float> all;
    for (const TrainedSpan& tensor : session.tensors())
      all.insert(all.end(), tensor.gradient.begin(), tensor.gradient.end());
    return all;
  };
  double whole_loss = 0, loss = 0;
  const std::vector<float> whole = gradients({{3, 4, 6, 7, 9, 2}}, whole_loss),
                           parts = gradients({{3, 4, 6}, {7}, {9, 2}}, loss);
  EXPECT_NEAR(loss, whole_loss, 1e-6);
  double largest = 0;
  for (const float g : whole) largest = std::max(largest, double(std::abs(g)));
  for (std::size_t i = 0; i < whole.size(); ++i)
    ASSERT_NEAR(parts[i], whole[i], 2e-6 * largest + 1e-7) << i;
}

TEST_F(Accumulation, HasTheSlopeOfTheLossWithDropoutOfTheAdapterAndSmoothing) {
  const auto device = make_cpu_device();
  const Method method = builtin_registry().at("lotr");
  RunSettings wanted = settings("lotr");
  wanted.values["dropout"] = "0.1";
  wanted.values["adapter-dropout"] = "0.3";
  wanted.values["label-smoothing"] = "0.2";
  TrainingSession session(load_host(folder / "model", host_settings(wanted, 3), device), method,
                          wanted, 3, device, [](const std::vector<std::string>&) {});
  session.begin(optimizer_settings(wanted));
  std::vector<std::vector<float>> start, direction;
  for (const TrainedSpan& tensor : session.tensors()) {
    for (float& value : tensor.value) value += 0.1f;
    start.emplace_back(tensor.value.begin(), tensor.value.end());
  }
  Batch batch;
  batch.ids = {5, 20, 33, 47, 61, 8, 90};
  batch.type_ids.assign(7, 0);
  batch.starts = {0, 3, 7};
  batch.labels = {1, 0};
  session.form_gradients(batch);
  double squares = 0;
  for (const TrainedSpan& tensor : session.tensors()) {
    direction.emplace_back(tensor.gradient.begin(), tensor.gradient.end());
    for (const float g : tensor.gradient) squares += double(g) * double(g);
  }
  const auto loss_at = [&](double along) {
    for (std::size_t i = 0; i < start.size(); ++i)
      for (std::size_t j = 0; j < start[i].size(); ++j)
        session.tensors()[i].value[j] =
            static_cast<float>(double(start[i][j]) + along * double(direction[i][j]));
    session.adapter().set_dropout({0.3, 3, 0});
    return session.host().train_pass(batch, 3, 0);
  };
  const double h = 1e-2 / std::sqrt(squares);
  EXPECT_NEAR((loss_at(h) - loss_at(-h)) / (2 * h) / squares, 1, 5e-3);
}

}  // namespace
}  // namespace rankfold
