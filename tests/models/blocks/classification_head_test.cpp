#include "experiments/models/blocks/classification_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/base/safetensors.h"
#include "experiments/models/blocks/tensor_train_head.h"
#include "models/double_reference.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using reference::normal;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t hidden = 16, labels = 3, sequences = 4;
constexpr double dropout = 0.25;

/// A checkpoint of a head alone.
struct Checkpoint {
  TemporaryFolder folder;
  std::vector<float> pooler_weight = normal(hidden * hidden, "pw", 0.3),
                     pooler_bias = normal(hidden, "pb", 0.3),
                     weight = normal(labels * hidden, "cw"), bias = normal(labels, "cb");

  void write(bool pooler, bool classifier) const {
    std::vector<TensorToWrite> tensors = {
        make_tensor("other", {hidden}, std::span<const float>(pooler_bias))};
    if (pooler) {
      tensors.push_back(make_tensor("bert.pooler.dense.weight", {hidden, hidden},
                                    std::span<const float>(pooler_weight)));
      tensors.push_back(
          make_tensor("bert.pooler.dense.bias", {hidden}, std::span<const float>(pooler_bias)));
    }
    if (classifier) {
      tensors.push_back(
          make_tensor("classifier.weight", {labels, hidden}, std::span<const float>(weight)));
      tensors.push_back(make_tensor("classifier.bias", {labels}, std::span<const float>(bias)));
    }
    write_safetensors(folder.path / "model.safetensors", tensors);
  }
};

struct Example {
  Checkpoint checkpoint;
  HostSettings settings;
  std::vector<std::string> notes;
  std::shared_ptr<const Device> device = make_cpu_device();
  std::unique_ptr<FrozenWeights> weights;
  std::unique_ptr<ClassificationHead> head;
  Arena arena{device};
  ClassificationHead::Kept kept;
  std::vector<float> x = normal(sequences * hidden, "x"),
                     d_logits = normal(sequences * labels, "d_logits"),
                     dx = std::vector<float>(sequences * hidden);

  explicit Example(bool pooler = true, bool classifier = true, bool tensor_train = false,
                   HeadDescription description = {}) {
    settings.labels = labels;
    settings.seed = 3;
    settings.parts.tt_head = tensor_train;
    settings.parts.tt_rank = 2;
    checkpoint.write(pooler, classifier);
    weights = std::make_unique<FrozenWeights>(checkpoint.folder.path, std::string("bert."), device);
    description.model = "model";
    description.dense = "bert.pooler.dense";
    description.output = "classifier";
    description.dropout = dropout;
    head = std::make_unique<ClassificationHead>(description, hidden, settings, *weights, device,
                                                notes);
  }
  EncoderPass pass(bool training) const {
    EncoderPass result;
    result.training = training;
    result.seed = 5;
    result.step = 6;
    return result;
  }
  MatrixView<const float> input() const { return {x.data(), sequences, hidden}; }
  Dropout masks(bool training) const {
    return training ? Dropout(dropout, 5, "dropout/classifier", 6) : Dropout();
  }
  std::vector<float> forward(bool training) {
    const MatrixView<float> logits = head->forward(input(), pass(training), kept, arena);
    return {logits.data, logits.data + sequences * labels};
  }
  void backward(bool with_dx) {
    head->backward({d_logits.data(), sequences, labels}, pass(true), kept,
                   {with_dx ? dx.data() : nullptr, sequences, hidden}, arena);
  }
  reference::Head formula() const {
    return {{reference::in_double(checkpoint.pooler_weight),
             reference::in_double(checkpoint.pooler_bias)},
            {reference::in_double(checkpoint.weight), reference::in_double(checkpoint.bias)}};
  }
};

TEST(ClassificationHead, IsTheFormula) {
  for (const bool training : {false, true}) {
    Example example;
    const reference::Rows expected =
        example.formula().apply(reference::Rows(example.input()), example.masks(training));
    EXPECT_LT(reference::relative_error(example.forward(training), expected.values), 1e-6);
    EXPECT_TRUE(example.notes.empty());
    EXPECT_EQ(example.head->new_elements(), 0u);
    EXPECT_TRUE(example.head->drawn().empty());
  }
}

TEST(ClassificationHead, HasTheGradientsOfTheFormula) {
  Example example;
  example.forward(true);
  example.backward(true);
  reference::Head formula = example.formula();
  reference::Rows x(example.input());
  const reference::Rows slopes(MatrixView<const float>(example.d_logits.data(), sequences, labels));
  const auto expected = [&](std::span<double> values) {
    return reference::central_differences(
        values, [&] { return reference::dot(formula.apply(x, example.masks(true)), slopes); });
  };
  EXPECT_LT(reference::relative_error(example.dx, expected(x.values)), 2e-6);
  const std::vector<TrainedTensor> trained = example.head->trained_output();
  ASSERT_EQ(trained.size(), 2u);
  EXPECT_EQ(trained[0].name, "classifier.weight");
  EXPECT_LT(reference::relative_error(trained[0].gradient, expected(formula.classifier.weight)),
            1e-6);
  EXPECT_EQ(trained[1].name, "classifier.bias");
  EXPECT_LT(reference::relative_error(trained[1].gradient, expected(formula.classifier.bias)),
            1e-6);

  // Twice is added.
  example.backward(false);
  std::vector<double> twice = expected(formula.classifier.bias);
  for (double& slope : twice) slope *= 2;
  EXPECT_LT(reference::relative_error(trained[1].gradient, twice), 1e-6);
  example.head->zero_gradients();
  EXPECT_EQ(trained[1].gradient[0], 0.0f);
}

TEST(ClassificationHead, TrainsATensorTrainInThePoolersPlace) {
  Example example(true, true, true);
  EXPECT_EQ(example.head->trained_dense().front().name, "bert.pooler.dense.t1");
  const std::vector<float> logits = example.forward(true);
  example.backward(true);
  // The same train in double.
  const auto train =
      make_tensor_train_head<double>("bert.pooler.dense", hidden, 2, 3, example.device);
  const std::vector<TrainedTensor> trained = example.head->trained_dense();
  ASSERT_EQ(trained.size(), train->parameters().size());
  EXPECT_EQ(trained.back().name, "bert.pooler.dense.bias");
  for (std::size_t i = 0; i < trained.size(); ++i)
    std::ranges::copy(trained[i].value, train->parameters()[i].value.span().begin());
  reference::Head formula = example.formula();
  formula.pooler.adapter = train.get();
  const auto logits_in_double = [&] {
    return formula.apply(reference::Rows(example.input()), example.masks(true));
  };
  EXPECT_LT(reference::relative_error(logits, logits_in_double().values), 1e-6);
  const reference::Rows slopes(MatrixView<const float>(example.d_logits.data(), sequences, labels));
  for (std::size_t i = 0; i < trained.size(); ++i)
    EXPECT_LT(
        reference::relative_error(trained[i].gradient,
                                  reference::central_differences(
                                      train->parameters()[i].value.span(),
                                      [&] { return reference::dot(logits_in_double(), slopes); })),
        2e-6)
        << trained[i].name;
}

TEST(ClassificationHead, HasTheActivationDropoutsAndTrainedDenseLayerOfItsDescription) {
  for (const bool trains : {false, true})
    for (const std::optional<HiddenActivation> activation :
         {std::optional<HiddenActivation>(), std::optional(HiddenActivation::gelu)}) {
      constexpr double input_dropout = 0.375;
      Example example(
          true, true, false,
          {.activation = activation, .trains_dense = trains, .input_dropout = input_dropout});
      reference::Head formula = example.formula();
      formula.activation = activation;
      reference::Rows x(example.input());
      const Dropout of_input(input_dropout, 5, "dropout/bert.pooler.dense", 6);
      const auto logits = [&] { return formula.apply(x, example.masks(true), of_input); };
      EXPECT_LT(reference::relative_error(example.forward(true), logits().values), 1e-6);
      example.backward(true);
      const reference::Rows slopes(
          MatrixView<const float>(example.d_logits.data(), sequences, labels));
      const auto expected = [&](std::span<double> values) {
        return reference::central_differences(values,
                                              [&] { return reference::dot(logits(), slopes); });
      };
      EXPECT_LT(reference::relative_error(example.dx, expected(x.values)), 2e-6);
      const std::vector<TrainedTensor> trained = example.head->trained_dense();
      ASSERT_EQ(trained.size(), trains ? 2u : 0u);
      if (!trains) continue;
      EXPECT_EQ(trained[0].name, "bert.pooler.dense.weight");
      EXPECT_LT(reference::relative_error(trained[0].gradient, expected(formula.pooler.weight)),
                2e-6);
      EXPECT_EQ(trained[1].name, "bert.pooler.dense.bias");
      EXPECT_LT(reference::relative_error(trained[1].gradient, expected(formula.pooler.bias)),
                2e-6);
      example.head->zero_gradients();
      EXPECT_EQ(trained[0].gradient[0], 0.0f);
      // Its gradients are there without that of x, too.
      example.backward(false);
      EXPECT_LT(reference::relative_error(trained[1].gradient, expected(formula.pooler.bias)),
                2e-6);
    }
}

TEST(ClassificationHead, DrawsADenseLayerThatTrainsWithoutANote) {
  Example example(false, true, false, {.trains_dense = true});
  EXPECT_TRUE(example.notes.empty());
  EXPECT_TRUE(example.head->drawn().empty());
  EXPECT_EQ(example.head->new_elements(), hidden * hidden + hidden);
  EXPECT_NE(example.head->trained_dense()[0].value[0], 0.0f);
  EXPECT_EQ(example.head->trained_dense()[1].value[0], 0.0f);
}

TEST(ClassificationHead, DrawsWhatTheCheckpointLacks) {
  Example example(false, false);
  EXPECT_THAT(example.notes,
              ElementsAre(HasSubstr("no bert.pooler.dense in the checkpoint; it is frozen at new "
                                    "weights N(0, 0.02) of seed 3")));
  EXPECT_EQ(example.head->new_elements(), hidden * hidden + hidden + labels * hidden + labels);
  const std::vector<Host::DrawnTensor> drawn = example.head->drawn();
  ASSERT_EQ(drawn.size(), 2u);
  EXPECT_EQ(drawn[0].name, "bert.pooler.dense.weight");
  EXPECT_NE(drawn[0].value[0], 0.0f);
  EXPECT_EQ(drawn[1].value[0], 0.0f);
}

TEST(ClassificationHead, StartsTheClassifierAnewForOtherLabels) {
  Checkpoint checkpoint;
  checkpoint.write(true, true);
  FrozenWeights weights(checkpoint.folder.path, "bert.", make_cpu_device());
  HostSettings settings;
  settings.labels = labels + 1;
  std::vector<std::string> notes;
  ClassificationHead head({.model = "model", .dense = "bert.pooler.dense", .output = "classifier"},
                          hidden, settings, weights, make_cpu_device(), notes);
  EXPECT_THAT(notes, ElementsAre("model: classifier.weight of the checkpoint has shape [3, 16], "
                                 "expected [4, 16]; the classifier starts anew"));
  EXPECT_EQ(head.trained_output()[0].shape, (std::vector<std::size_t>{4, 16}));
}

}  // namespace
}  // namespace rankfold
