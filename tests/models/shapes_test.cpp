#include "experiments/models/shapes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <utility>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

TEST(Shapes, AreFoundByNameOrFolderOrTheNearestIsNamed) {
  EXPECT_EQ(find_shape("llama-2-70b").key_value_heads, 8u);
  const std::string message = message_of<UsageError>([] { find_shape("roberta-bse"); });
  EXPECT_THAT(message, HasSubstr("did you mean 'roberta-base'"));
  EXPECT_THAT(message_of<Error>([] { read_shape("no-such-folder"); }),
              HasSubstr("is not a folder; expected a model folder with config.json"));
}

TEST(Shapes, HaveSitesInCanonicalOrderWithTheirSizes) {
  const SiteCatalogue bert = catalogue(find_shape("bert-base-uncased"));
  EXPECT_EQ(bert.layers, 12u);
  ASSERT_EQ(bert.sites.size(), 12 * 6u + 1);
  EXPECT_EQ(bert.sites[6].name, "bert.encoder.layer.1.attention.self.query");
  EXPECT_EQ(bert.sites[6].heads, 12u);
  EXPECT_EQ(bert.sites[10].name, "bert.encoder.layer.1.intermediate.dense");
  EXPECT_EQ(bert.sites[10].out, 3072u);
  EXPECT_EQ(bert.sites[10].heads, 1u);
  EXPECT_EQ(bert.sites.back().name, "bert.pooler.dense");
  EXPECT_EQ(bert.sites.back().layer, 11u);
  EXPECT_EQ(catalogue(find_shape("roberta-base")).sites.size(), 12 * 6u);

  const SiteCatalogue llama = catalogue(find_shape("llama-3-8b"));
  EXPECT_EQ(llama.sites.size(), 32u * 7);
  EXPECT_EQ(llama.sites[1].name, "model.layers.0.self_attn.k_proj");
  EXPECT_EQ(llama.sites[1].out, 1024u);
  EXPECT_EQ(llama.sites[1].heads, 8u);
  EXPECT_EQ(llama.adapter_places,
            (std::vector<MatrixType>{MatrixType::gate, MatrixType::up, MatrixType::down}));

  EXPECT_EQ(catalogue(find_shape("albert-base-v2")).sites.size(), 6u + 1);
  const SiteCatalogue deberta = catalogue(find_shape("deberta-base"));
  EXPECT_EQ(deberta.sites[2].name, "deberta.encoder.layer.0.output.dense");
  EXPECT_EQ(deberta.sites[3].name, "deberta.encoder.layer.0.attention.self.in_proj");
  EXPECT_EQ(deberta.sites[3].out, 3u * 768);
  EXPECT_TRUE(catalogue(find_shape("gpt2-medium")).adapter_places.empty());
}

TEST(Shapes, CountTheTrainedPartsOfTheModel) {
  const ModelShape bert = find_shape("bert-base-uncased"), roberta = find_shape("roberta-base"),
                   llama = find_shape("llama-7b"), albert = find_shape("albert-base-v2"),
                   gpt2 = find_shape("gpt2-medium");
  EXPECT_EQ(norm_parameters(bert), 25u * 2 * 768);
  EXPECT_EQ(norm_parameters(llama), 65u * 4096);
  EXPECT_EQ(norm_parameters(albert), 2u * 128 + 2 * 2 * 768);
  EXPECT_EQ(output_parameters(bert, 3), 3u * 769);
  EXPECT_EQ(output_parameters(gpt2, 3), 3u * 1024);
  EXPECT_EQ(head_parameters(bert, 2), 2u * 769);
  EXPECT_EQ(head_parameters(roberta, 2), 2u * 769 + 768 * 769);
  EXPECT_EQ(trained_part_parameters(bert, " norms, output", 2, 8),
            norm_parameters(bert) + output_parameters(bert, 2));
  EXPECT_EQ(trained_part_parameters(bert, "tt-head", 2, 5), tensor_train_head_parameters(bert, 5));
}

TEST(Shapes, RefusePartsThatDoNotGoTogether) {
  const ModelShape bert = find_shape("bert-base-uncased");
  const auto message = [&](const char* parts, std::size_t rank) {
    return message_of<UsageError>([&] { trained_part_parameters(bert, parts, 2, rank); });
  };
  EXPECT_THAT(message("norm", 2), HasSubstr("'norms'"));
  EXPECT_THAT(message("head,head", 2), HasSubstr("'head' stands twice"));
  EXPECT_THAT(message("head,tt-head", 2), HasSubstr("head is the whole head"));
  EXPECT_THAT(message("tt-head", 0), HasSubstr("found no rank"));
  EXPECT_EQ(message_of<UsageError>(
                [] { tensor_train_head_parameters(find_shape("vit-base-patch16"), 5); }),
            "--train tt-head: vit-base-patch16 has no dense layer before its output layer");
}

// As their authors and the Hub tell, without a head; a tied output adds nothing.
TEST(Shapes, OfDecodersHaveThePublishedParameters) {
  for (const auto& [name, parameters] :
       std::initializer_list<std::pair<const char*, std::size_t>>{{"gpt2", 124'439'808},
                                                                  {"opt-1.3b", 1'315'758'080},
                                                                  {"smollm2-135m", 134'515'008},
                                                                  {"llama-3.2-1b", 1'235'814'400},
                                                                  {"qwen2.5-0.5b", 494'032'768},
                                                                  {"qwen3-0.6b", 596'049'920},
                                                                  {"mistral-7b", 7'110'660'096}})
    EXPECT_EQ(find_shape(name).parameters, parameters) << name;
}

}  // namespace
}  // namespace rankfold
