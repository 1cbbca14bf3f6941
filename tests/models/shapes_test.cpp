#include "experiments/models/shapes.h"

#include <map>

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

  const SiteCatalogue albert = catalogue(find_shape("albert-base-v2"));
  ASSERT_EQ(albert.sites.size(), 6u + 2);
  EXPECT_EQ(albert.sites[6].name, "albert.encoder.embedding_hidden_mapping_in");
  EXPECT_EQ(albert.sites[6].in, 128u);
  EXPECT_TRUE(albert.sites[6].beside_all);
  const SiteCatalogue deberta = catalogue(find_shape("deberta-base"));
  ASSERT_EQ(deberta.sites.size(), 12u * 9 + 1);
  EXPECT_EQ(deberta.sites[7].name, "deberta.encoder.layer.0.attention.self.pos_proj");
  EXPECT_EQ(deberta.sites[8].name, "deberta.encoder.layer.0.attention.self.pos_q_proj");
  EXPECT_EQ(catalogue(find_shape("deberta-v3-base")).sites.size(), 12u * 6 + 1);
  EXPECT_EQ(deberta.sites[1].name, "deberta.encoder.layer.0.attention.self.in_proj.k");
  EXPECT_EQ(deberta.sites[1].part_of, deberta.sites[6].name);
  EXPECT_EQ(deberta.sites[5].name, "deberta.encoder.layer.0.output.dense");
  EXPECT_EQ(deberta.sites[6].name, "deberta.encoder.layer.0.attention.self.in_proj");
  EXPECT_EQ(deberta.sites[6].out, 3u * 768);
  EXPECT_TRUE(catalogue(find_shape("gpt2-medium")).adapter_places.empty());
}

/// Every number of the whole is that of one part, in the order of its family.
TEST(Shapes, TellWhereTheRowsAndBiasesOfPartsLie) {
  ModelShape deberta = find_shape("deberta-base"), gpt2 = find_shape("gpt2");
  const auto sites = [](const ModelShape& shape) {
    const auto all = catalogue(shape).sites;
    return std::vector<Site>(all.begin(), all.begin() + 7);
  };
  const std::vector<Site> of_deberta = sites(deberta), of_gpt2 = sites(gpt2);
  for (std::size_t part = 0; part < 3; ++part) {
    const StoredMatrix by_head = stored_matrix(deberta, of_deberta[part]),
                       below = stored_matrix(gpt2, of_gpt2[part]);
    EXPECT_EQ(by_head.module, "deberta.encoder.layer.0.attention.self.in_proj");
    EXPECT_EQ(by_head.rows, 3u * 768);
    EXPECT_FALSE(by_head.lies_together(768));
    EXPECT_TRUE(below.lies_together(768));
    for (std::size_t row = 0; row < 768; ++row) {
      EXPECT_EQ(by_head.row(row), row / 64 * 192 + part * 64 + row % 64);
      EXPECT_EQ(below.row(row), part * 768 + row);
    }
    EXPECT_EQ(below.place(2, 5, 768), 5 * 3 * 768 + part * 768 + 2);
    const StoredBias bias = stored_bias(gpt2, of_gpt2[part], 4);
    EXPECT_EQ(bias.tensor, "transformer.h.0.attn.c_attn.bias");
    EXPECT_EQ(bias.place, part * 768 + 4);
  }
  const std::string place = "deberta.encoder.layer.0.attention.self.";
  const auto expect_bias = [&](const Site& site, std::size_t row, const std::string& tensor,
                               std::size_t number) {
    const StoredBias bias = stored_bias(deberta, site, row);
    EXPECT_EQ(bias.tensor, tensor);
    EXPECT_EQ(bias.place, number);
    EXPECT_EQ(bias.size, tensor.empty() ? 0u : 768u);
  };
  expect_bias(of_deberta[0], 70, place + "q_bias", 70);
  expect_bias(of_deberta[1], 70, "", 0);
  expect_bias(of_deberta[2], 70, place + "v_bias", 70);
  // The second head's q, k and v.
  expect_bias(of_deberta[6], 192 + 6, place + "q_bias", 70);
  expect_bias(of_deberta[6], 192 + 64 + 6, "", 0);
  expect_bias(of_deberta[6], 192 + 128 + 6, place + "v_bias", 70);
  const SiteCatalogue all = catalogue(deberta);
  expect_bias(all.sites[7], 70, "", 0);
  expect_bias(all.sites[8], 70, place + "pos_q_proj.bias", 70);
  const ModelShape llama = find_shape("llama-7b");
  EXPECT_EQ(stored_bias(llama, catalogue(llama).sites[3], 0).tensor, "");
}

TEST(Shapes, TellWhichSitesHaveABias) {
  using enum Site::BiasRows;
  const auto of_first_layer = [](const char* model) {
    std::map<std::string, Site::BiasRows> found;
    for (const Site& site : catalogue(find_shape(model)).sites)
      if (site.layer == 0) found.emplace(to_string(site.matrix), site.bias);
    return found;
  };
  const auto deberta = of_first_layer("deberta-base"), llama = of_first_layer("llama-7b"),
             qwen = of_first_layer("qwen2.5-0.5b"), gpt2 = of_first_layer("gpt2-medium");
  EXPECT_EQ(deberta.at("q"), all);
  EXPECT_EQ(deberta.at("k"), none);
  EXPECT_EQ(deberta.at("in_proj"), some);
  EXPECT_EQ(deberta.at("position_k"), none);
  EXPECT_EQ(deberta.at("position_q"), all);
  EXPECT_EQ(llama.at("q"), none);
  EXPECT_EQ(qwen.at("q"), all);
  EXPECT_EQ(qwen.at("o"), none);
  EXPECT_EQ(gpt2.at("k"), all);
  EXPECT_EQ(gpt2.at("in_proj"), all);
}

TEST(Shapes, CountTheTrainedPartsOfTheModel) {
  const ModelShape bert = find_shape("bert-base-uncased"), roberta = find_shape("roberta-base"),
                   llama = find_shape("llama-7b"), albert = find_shape("albert-base-v2"),
                   gpt2 = find_shape("gpt2-medium");
  EXPECT_EQ(norm_parameters(bert), 25u * 2 * 768);
  EXPECT_EQ(norm_parameters(llama), 65u * 4096);
  EXPECT_EQ(norm_parameters(albert), 2u * 128 + 2 * 2 * 768);
  EXPECT_EQ(norm_shift_parameters(bert), 25u * 768);
  EXPECT_EQ(norm_shift_parameters(llama), 0u);
  EXPECT_EQ(trained_part_parameters(bert, "norm-shifts", 2, 8), 25u * 768);
  EXPECT_EQ(parameters_below_head(bert), bert.parameters);
  const ModelShape deberta = find_shape("deberta-base");
  EXPECT_EQ(parameters_below_head(deberta), deberta.parameters + 768 * 769);
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
  EXPECT_THAT(message("norms,norm-shifts", 2), HasSubstr("norms hold their shifts"));
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
                                                                  {"mistral-7b", 7'110'660'096},
                                                                  {"starcoder2-3b", 3'030'371'328}})
    EXPECT_EQ(find_shape(name).parameters, parameters) << name;
}

}  // namespace
}  // namespace rankfold
