#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/files.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/adapter_files/peft_folder.h"
#include "experiments/adapter_files/peft_tokens_folder.h"
#include "models/golden_models.h"
#include "training/random_adapter.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PeftTokensFolders : public Workplace {
 protected:
  /// Exported as PEFT has it; the logits of the adapter.
  std::vector<float> write(const std::string& method) {
    AdaptedModel adapted = random_adapter(folder / "model", method, "", registry);
    for (const TrainedTensor& tensor : adapted.host->trained())
      RandomStream(3, tensor.name).fill_normal(tensor.value, 0, 0.3F);
    save_adapter(folder / "adapter", adapted.description, *adapted.adapter, *adapted.host);
    const LoneAdapter lone =
        load_lone_adapter(folder / "adapter", folder / "model", registry, make_cpu_device());
    const PeftTokens written = export_as_tokens(lone, folder / "peft", "a/base");
    EXPECT_EQ(written.tokens, 20U);
    EXPECT_EQ(written.parameters, adapted.adapter->parameter_count());
    return adapted.host->predict(short_batch());
  }
  AdaptedModel read() const {
    return load_adapted_model(folder / "model", folder / "peft", registry, make_cpu_device());
  }
  void replace(const std::string& before, const std::string& after) const {
    std::string text = read_text(folder / "peft/adapter_config.json");
    const std::size_t place = text.find(before);
    ASSERT_NE(place, text.npos) << text;
    text.replace(place, before.size(), after);
    std::ofstream(folder / "peft/adapter_config.json") << text;
  }
  Registry registry = builtin_registry();
};

TEST_F(PeftTokensFolders, AreReadBackWithTheBitsThatWereWritten) {
  for (const char* method : {"prompt", "prefix"}) {
    const std::vector<float> expected = write(method);
    const AdaptedModel again = read();
    EXPECT_EQ(again.description.method, method);
    EXPECT_EQ(again.host->predict(short_batch()), expected);
    EXPECT_TRUE(again.untrained.empty());
    const std::string config = read_text(folder / "peft/adapter_config.json");
    EXPECT_THAT(config, HasSubstr("\"task_type\": \"SEQ_CLS\""));
    EXPECT_THAT(config, HasSubstr("\"num_virtual_tokens\": 20"));
    EXPECT_THAT(config, HasSubstr("\"base_model_name_or_path\": \"a/base\""));
    fs::remove_all(folder / "peft");
    fs::remove_all(folder / "adapter");
  }
}

TEST_F(PeftTokensFolders, RefuseSizesThatAreNotTheModels) {
  write("prefix");
  for (const auto& [key, value, other] : {std::tuple("num_virtual_tokens", "20", "21"),
                                          {"token_dim", "32", "16"},
                                          {"num_layers", "2", "3"},
                                          {"num_attention_heads", "4", "8"},
                                          {"num_transformer_submodules", "1", "2"}}) {
    const auto line = [&](const char* number) { return '"' + std::string(key) + "\": " + number; };
    replace(line(value), line(other));
    EXPECT_THAT(error_of([&] { read(); }), HasSubstr(key));
    replace(line(other), line(value));
  }
  EXPECT_NO_THROW(read());
  replace("\"prefix_projection\": false", "\"prefix_projection\": true");
  EXPECT_NO_THROW(read());  // its result is what the file holds
  replace("\"prefix_projection\": true", "\"gate\": true");
  EXPECT_THAT(error_of([&] { read(); }), HasSubstr("gate"));
}

TEST_F(PeftTokensFolders, TakeNoOtherMethodAndNoPartOfTheLayers) {
  AdaptedModel lora = random_adapter(folder / "model", "lora", "2", registry);
  save_adapter(folder / "adapter", lora.description, *lora.adapter, *lora.host);
  const auto load = [&] {
    return load_lone_adapter(folder / "adapter", folder / "model", registry, make_cpu_device());
  };
  EXPECT_THAT(error_of([&] { export_as_tokens(load(), folder / "peft"); }),
              HasSubstr("expected prompt or prefix"));
  fs::remove_all(folder / "adapter");
  AdapterDescription description;
  description.method = "prefix";
  description.targets = "prefix_k,prefix_v";
  description.layers = "last:1";
  description.fingerprint = model_fingerprint(folder / "model");
  const auto adapter = make_described_adapter<float>(description, lora.host->catalogue(), registry,
                                                     make_cpu_device());
  adapter->initialise(1);
  lora.host->attach(adapter.get());
  save_adapter(folder / "adapter", description, *adapter, *lora.host);
  EXPECT_EQ(load().adapter->stack().sites.size(), 2U);
  EXPECT_THAT(error_of([&] { export_as_tokens(load(), folder / "peft"); }),
              HasSubstr("1 of 2 layers"));
}

TEST_F(PeftTokensFolders, AreNoUpdateOfWeights) {
  write("prompt");
  for (const char* adapter : {"adapter", "peft"})
    EXPECT_THAT(
        error_of([&] { merge(folder / "model", folder / adapter, folder / "out", registry); }),
        HasSubstr("not to the weights"));
  const LoneAdapter lone = load_lone_adapter(folder / "adapter", "", registry, make_cpu_device());
  EXPECT_THAT(error_of([&] { export_as_lora(lone, registry, folder / "lora"); }),
              HasSubstr("it is no LoRA"));
  EXPECT_NO_THROW(export_as_tokens(lone, folder / "alone"));
}

}  // namespace
}  // namespace rankfold
