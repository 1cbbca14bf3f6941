#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/device/counting_device.h"
#include "core/device/test_device.h"
#include "experiments/models/host.h"
#include "models/golden_models.h"

// Language models that score and choose answers: by their tokens' logits, and whole or behind
// prompts that are computed once.

namespace rankfold {
namespace {

struct Question {
  std::vector<std::int32_t> prompt;
  std::vector<std::vector<std::int32_t>> options;
  float gold;
};

/// Prompts longer than the windows of small models, one option of one token.
std::vector<Question> questions() {
  return {{{2, 17, 45, 9, 31, 7, 22, 58, 11, 40, 6}, {{12}, {33, 8, 5}}, 1},
          {{2, 60}, {{4, 9}, {50}, {7, 7, 7, 1}}, 0}};
}

void add(Batch& batch, const std::vector<std::int32_t>& tokens, bool labelled, std::size_t prefix) {
  batch.ids.insert(batch.ids.end(), tokens.begin(), tokens.end());
  for (const std::int32_t token : tokens)
    batch.targets.push_back(labelled ? token : Batch::left_out);
  batch.starts.push_back(batch.ids.size());
  batch.prefixes.push_back(prefix);
}

Batch batch_of(const std::vector<Question>& questions, bool shared) {
  Batch batch;
  batch.starts = batch.options = {0};
  for (const Question& question : questions) {
    const std::size_t prompt = batch.sequences();
    if (shared) add(batch, question.prompt, false, no_prefix);
    for (const auto& option : question.options) {
      if (shared) {
        add(batch, option, true, prompt);
        continue;
      }
      std::vector<std::int32_t> whole = question.prompt;
      whole.insert(whole.end(), option.begin(), option.end());
      add(batch, whole, true, no_prefix);
      std::fill_n(batch.targets.end() - static_cast<std::ptrdiff_t>(whole.size()),
                  question.prompt.size(), Batch::left_out);
    }
    batch.options.push_back(batch.options.back() + question.options.size());
    batch.labels.push_back(question.gold);
  }
  if (!shared) batch.prefixes.clear();
  return batch;
}

double apart(const std::vector<float>& found, const std::vector<float>& expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{found[i]} - expected[i], 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

class Answers : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Host> host(const std::shared_ptr<const Device>& device = make_cpu_device(),
                             double dropout = 0) const {
    HostSettings settings;
    settings.output = HostOutput::language_model;
    settings.dropout = dropout;
    settings.parts.norms = true;
    return load_host(golden_model(GetParam()), settings, device);
  }
  static std::vector<float> gradients(Host& host, const Device& device) {
    std::vector<float> all;
    for (const TrainedTensor& tensor : host.trained()) {
      const HostRead<float> values(device, tensor.gradient.data(), tensor.gradient.size());
      all.insert(all.end(), values.begin(), values.end());
    }
    host.zero_gradients();
    return all;
  }
};

std::vector<std::string> language_models() {
  std::vector<std::string> names;
  for (const std::string& name : golden_decoders())
    if (declared_output(ConfigFile(golden_model(name) / "config.json")) ==
        HostOutput::language_model)
      names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Folders, Answers, testing::ValuesIn(language_models()),
                         [](const auto& folder) { return test_name(folder.param); });

TEST_P(Answers, AreScoredByTheMeanLogProbabilityOfTheirTokens) {
  const auto host = this->host();
  const Batch whole = batch_of(questions(), false);
  const std::vector<float> logits = host->token_logits(whole);
  const std::size_t words = logits.size() / whole.tokens();
  std::vector<double> expected;
  double loss = 0;
  std::size_t labelled = 0;
  for (std::size_t s = 0; s < whole.sequences(); ++s) {
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t t = whole.starts[s]; t + 1 < whole.starts[s + 1]; ++t) {
      if (whole.targets[t + 1] == Batch::left_out) continue;
      double total = 0;
      for (std::size_t c = 0; c < words; ++c) total += std::exp(double{logits[t * words + c]});
      sum += logits[t * words + static_cast<std::size_t>(whole.targets[t + 1])] - std::log(total);
      ++count;
    }
    expected.push_back(sum / static_cast<double>(count));
    loss -= sum;
    labelled += count;
  }
  for (const bool shared : {false, true}) {
    const Batch batch = batch_of(questions(), shared);
    const std::vector<double> scores = host->answer_scores(batch);
    ASSERT_EQ(scores.size(), expected.size());
    for (std::size_t a = 0; a < scores.size(); ++a)
      EXPECT_NEAR(scores[a], expected[a], 1e-5 * std::abs(expected[a])) << shared << ' ' << a;
    // The two losses.
    Batch tokens = batch;
    tokens.options.clear();
    EXPECT_NEAR(host->mean_loss(tokens), loss / static_cast<double>(labelled), 1e-5);
    double choice = 0;
    for (std::size_t g = 0; g + 1 < batch.options.size(); ++g) {
      double total = 0;
      for (std::size_t a = batch.options[g]; a < batch.options[g + 1]; ++a)
        total += std::exp(expected[a]);
      choice +=
          std::log(total) - expected[batch.options[g] + static_cast<std::size_t>(batch.labels[g])];
    }
    EXPECT_NEAR(host->mean_loss(batch), choice / 2, 1e-5);
    EXPECT_NEAR(host->train_pass(batch, 0, 0), choice / 2, 1e-5);
  }
}

TEST_P(Answers, HaveTheGradientsBehindOnePromptThatTheyHaveWhole) {
  const auto device = make_cpu_device();
  const auto host = this->host(device);
  for (const bool of_options : {true, false}) {
    std::vector<std::vector<float>> found;
    for (const bool shared : {false, true}) {
      Batch batch = batch_of(questions(), shared);
      if (!of_options) batch.options.clear();
      host->zero_gradients();
      host->train_pass(batch, 0, 0);
      found.push_back(gradients(*host, *device));
    }
    EXPECT_LT(apart(found[1], found[0]), 1e-5);
  }
}

TEST_P(Answers, HaveTheSlopesOfTheLossOverOptions) {
  const auto device = make_cpu_device();
  const auto host = this->host(device);
  const Batch batch = batch_of(questions(), true);
  host->zero_gradients();
  host->train_pass(batch, 0, 0);
  // Along each tensor's gradient, where a loss in float tells most.
  std::size_t compared = 0;
  for (const TrainedTensor& tensor : host->trained()) {
    double squares = 0;
    for (const float g : tensor.gradient) squares += double{g} * g;
    if (squares < 1e-4) continue;
    ++compared;
    const double h = 0.002 / std::sqrt(squares);
    const std::vector<float> before(tensor.value.begin(), tensor.value.end());
    const auto loss_at = [&](double step) {
      for (std::size_t i = 0; i < before.size(); ++i)
        tensor.value[i] = static_cast<float>(before[i] + step * tensor.gradient[i]);
      return host->mean_loss(batch);
    };
    const double slope = (loss_at(h) - loss_at(-h)) / (2 * h);
    std::ranges::copy(before, tensor.value.begin());
    EXPECT_NEAR(slope / squares, 1, 0.02) << tensor.name;
  }
  EXPECT_GT(compared, 0u);
}

TEST_P(Answers, AreOneThingOnEveryDeviceAndWithDropout) {
  const Batch batch = batch_of(questions(), true);
  std::vector<std::vector<float>> found;
  for (const auto& device : {make_cpu_device(), make_test_device()}) {
    const auto host = this->host(device, 0.1);
    host->zero_gradients();
    const double loss = host->train_pass(batch, 1, 2);
    found.push_back(gradients(*host, *device));
    found.back().push_back(static_cast<float>(loss));
    for (const double score : host->answer_scores(batch))
      found.back().push_back(static_cast<float>(score));
  }
  EXPECT_EQ(found[0], found[1]);
}

TEST_P(Answers, AreTheSameFromFeaturesOfPromptsAndOptions) {
  const auto device = make_cpu_device();
  HostSettings settings;
  settings.output = HostOutput::language_model;
  const auto host = load_host(golden_model(GetParam()), settings, device);
  const auto lora = drawn_adapter(select_stack(host->catalogue(), "q,v", "1"), "lora", device);
  host->attach(lora.get());
  Batch batch = batch_of(questions(), true);
  const double loss = host->train_pass(batch, 0, 0), mean = host->mean_loss(batch);
  std::vector<float> rows(batch.tokens() * host->hidden_size());
  const MatrixView<float> view(rows.data(), batch.tokens(), host->hidden_size());
  host->features(batch, view);
  const std::vector<double> scores = host->answer_scores(batch);
  batch.features = view;
  EXPECT_EQ(host->mean_loss(batch), mean);
  EXPECT_EQ(host->train_pass(batch, 0, 0), loss);
  EXPECT_EQ(host->answer_scores(batch), scores);
}

TEST_P(Answers, CostNoProductWithTheVocabularyWhereNoTokenIsLabelled) {
  const auto device = std::make_shared<CountingDevice>(make_cpu_device());
  const auto host = this->host(device);
  const auto flops_of = [&](std::size_t labelled) {
    Batch batch = batch_of(questions(), false);
    batch.options.clear();
    batch.targets.assign(batch.tokens(), Batch::left_out);
    for (std::size_t t = 0; t < labelled; ++t) batch.targets[5 + t] = 7;
    const std::uint64_t before = device->count().flops();
    host->answer_scores(batch);
    return device->count().flops() - before;
  };
  const std::uint64_t one = flops_of(1), each = flops_of(2) - one;
  EXPECT_GT(each, 0u);
  EXPECT_EQ(flops_of(4) - one, 3 * each);
}

TEST(AnswersOfTransformers, HaveTheirScoresLossesAndGradients) {
  const JsonDocument document(std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "answers" /
                              "answers.json");
  const auto models = document.root().member("models").members();
  EXPECT_EQ(models.size(), 5u);
  for (const auto& [name, expected] : models) {
    const auto device = make_cpu_device();
    HostSettings settings;
    settings.output = HostOutput::language_model;
    settings.parts.norms = true;
    const auto host = load_host(golden_model(name), settings, device);
    const Batch options = batch_of(questions(), true);
    const std::vector<double> scores = host->answer_scores(options);
    ASSERT_EQ(scores.size(), expected.member("scores").array_size());
    for (std::size_t a = 0; a < scores.size(); ++a) {
      const double score = expected.member("scores").element(a).number();
      EXPECT_NEAR(scores[a], score, 1e-5 * std::abs(score)) << name;
    }
    // The right options alone.
    std::vector<Question> right = questions();
    for (Question& question : right) {
      question.options = {question.options[static_cast<std::size_t>(question.gold)]};
      question.gold = 0;
    }
    Batch tokens = batch_of(right, false);
    tokens.options.clear();
    for (const auto& [kind, batch] :
         {std::pair<const char*, Batch>{"options", options}, {"tokens", tokens}}) {
      const JsonField of_loss = expected.member(kind);
      host->zero_gradients();
      const double loss = of_loss.member("loss").number();
      EXPECT_NEAR(host->train_pass(batch, 0, 0), loss, 1e-5 * loss) << name;
      std::size_t compared = 0;
      for (const TrainedTensor& tensor : host->trained()) {
        const auto gradient = of_loss.member("gradients").find(tensor.name);
        if (!gradient) continue;
        ++compared;
        std::vector<float> numbers;
        for (const JsonField& number : gradient->elements())
          numbers.push_back(static_cast<float>(number.number()));
        EXPECT_LT(apart({tensor.gradient.begin(), tensor.gradient.end()}, numbers), 2e-5)
            << name << ' ' << kind << ' ' << tensor.name;
      }
      EXPECT_EQ(compared, of_loss.member("gradients").members().size()) << name;
    }
  }
}

TEST(AnswersOfClassifiers, AreRefused) {
  HostSettings settings;
  const auto host = load_host(golden_model("llama-classifier"), settings, make_cpu_device());
  EXPECT_THROW(host->answer_scores(batch_of(questions(), false)), Error);
  EXPECT_THROW(host->predict(batch_of(questions(), true)), Error);
}

}  // namespace
}  // namespace rankfold
