#include "analysis/drawings/network_diagram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/drawings/svg.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
using testing::Not;

const Mode out{"out", 6}, in{"in", 4}, r{"r", 2};

Factor factor(const std::string& name, std::vector<Mode> modes, Owner owner = Owner::site) {
  return {name, std::move(modes), zeros(), owner};
}

Declaration update(std::vector<Operand> product, std::vector<Selection> select = {}) {
  return weight_update({.out = {out},
                        .in = {in},
                        .terms = {{.product = std::move(product)}},
                        .select = std::move(select)});
}

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

std::string draw(const Declaration& declaration) {
  return network_diagram(declaration, "a title");
}

TEST(NetworkDiagram, JoinsNeighboursByALineWithTheModeAndItsSize) {
  const std::string svg = draw(update({factor("B", {out, r}), factor("A", {r, in})}));
  for (const char* text : {">B<", ">A<", ">r<", ">2<", ">out<", ">6<", ">in<", ">4<"})
    EXPECT_EQ(times(svg, text), 1U) << text << '\n' << svg;
  EXPECT_THAT(svg, Not(HasSubstr("<circle")));
}

TEST(NetworkDiagram, JoinsThreeFactorsAtADotAndDistantOnesByAnArc) {
  const Mode p{"p", 3};
  const std::string svg =
      draw(update({factor("U", {out, p, r}), factor("c", {p}), factor("V", {p, in, r})}));
  EXPECT_EQ(times(svg, "<circle"), 1U) << svg;
  EXPECT_THAT(svg, HasSubstr(">p = 3<"));
  EXPECT_EQ(times(svg, "C"), 1U) << svg;  // one cubic curve
  EXPECT_THAT(svg, HasSubstr(">r = 2<"));
}

TEST(NetworkDiagram, EndsASelectedModeInItsValue) {
  const Mode layer{"layer", 12};
  const std::string svg = draw(update(
      {factor("g", {layer, r}), factor("B", {out, r}), factor("A", {r, in})}, {{"layer", 7}}));
  EXPECT_THAT(svg, HasSubstr(">layer = 7<"));
  EXPECT_THAT(svg, HasSubstr(">of 12<"));
}

TEST(NetworkDiagram, TellsWhichPartOfALongerModeTheSiteReads) {
  const Mode longer{"out", 9};
  const std::string svg =
      draw(update({factor("B", {longer, r}), factor("A", {r, in})}, {{"out", 3, 6}}));
  EXPECT_THAT(svg, HasSubstr(">3 to 8 of 9<"));
  EXPECT_THAT(svg, HasSubstr(">6<"));
}

TEST(NetworkDiagram, WritesTheReadingOnABlock) {
  const std::string svg = draw(update(
      {tensor_train("G", {2, 3, 4}, 5, {out, in}, std::vector<Initialiser>(3), Owner::site, "")}));
  EXPECT_THAT(svg, HasSubstr(">read as out = 6, in = 4<"));
  for (const char* text : {">G1<", ">G2<", ">G3<", ">G_bond1<", ">G_mode3 = 4<", ">G_bond0 = 1<"})
    EXPECT_THAT(svg, HasSubstr(text));
}

TEST(NetworkDiagram, DrawsBlocksInBlocks) {
  const Mode a{"a", 2}, b{"b", 3}, c{"c", 4}, d{"d", 6}, layer{"layer", 5};
  const Block inner{{factor("X", {a, layer}), factor("Y", {b})}, {a, b}, {d}};
  const Block outer{{inner, factor("Z", {c})}, {d, c}, {out, in}};
  const std::string svg = draw(update({outer}, {{"layer", 2}}));
  for (const char* text : {">X<", ">Y<", ">Z<", ">read as d = 6<", ">read as out = 6, in = 4<",
                           ">layer = 2<", ">a = 2<", ">d = 6<"})
    EXPECT_THAT(svg, HasSubstr(text));
}

TEST(NetworkDiagram, AddsTermsWithTheirSignAndScale) {
  Declaration declaration = update({factor("B", {out, r}), factor("A", {r, in})});
  std::vector<Term>& terms = declaration.stages[0].network.terms;
  terms.push_back({.scale = -0.25, .product = {factor("D", {out, in})}});
  terms.push_back({.scale = 3, .product = {factor("E", {out, in})}});
  const std::string svg = draw(declaration);
  EXPECT_THAT(svg, HasSubstr(">dW =<"));
  EXPECT_THAT(svg, HasSubstr(">− 0.25 ×<"));
  EXPECT_THAT(svg, HasSubstr(">+ 3 ×<"));
}

TEST(NetworkDiagram, TellsOwnersAndWhatIsFrozen) {
  Factor frozen = factor("A", {r, in}, Owner::matrix);
  frozen.trainable = false;
  const std::string svg = draw(update({factor("B", {out, r}, Owner::model), frozen}));
  EXPECT_THAT(svg, HasSubstr(">trained, one for all sites<"));
  EXPECT_THAT(svg, HasSubstr(">frozen, one a matrix type<"));
  EXPECT_EQ(times(svg, ">trained, "), 1U);
  EXPECT_EQ(times(svg, "stroke-dasharray"), 2U) << "the factor and its entry in the legend";
}

TEST(NetworkDiagram, PutsStagesIntoTheChainBeforeOrBehindTheWeight) {
  Declaration declaration = update({factor("D", {out, in})});
  declaration.stages[0].activation = Activation::relu;
  declaration.stages[0].network.terms.push_back(
      {.product = {factor("bias", {out})}, .constant = true});
  declaration.stages.push_back(
      {{.out = {in}, .in = {out}, .terms = {{.product = {factor("E", {in, out})}}}}});
  declaration.place = Place::before;
  const std::string before = draw(declaration);
  for (const char* text : {">f1<", ">f2<", ">relu<", ">f1 =<", ">f2 =<", ">W · + b<", ">bias<"})
    EXPECT_THAT(before, HasSubstr(text));
  declaration.place = Place::after;
  EXPECT_THAT(draw(declaration), HasSubstr(">W x + b<"));
}

TEST(NetworkDiagram, FramesNormsWithTheirFormula) {
  Declaration declaration = update({factor("B", {out, r}), factor("A", {r, in})});
  declaration.normalisation = {.kind = Normalisation::Kind::rows_then_columns,
                               .magnitudes = {factor("m", {out}), factor("n", {in})}};
  const std::string svg = draw(declaration);
  EXPECT_THAT(svg, HasSubstr(">H[i,:] = m[i] V[i,:] / |V[i,:]|<"));
  EXPECT_THAT(svg, HasSubstr(">W'[:,j] = n[j] H[:,j] / |H[:,j]|<"));
  EXPECT_THAT(svg, HasSubstr(">n<"));
}

TEST(NetworkDiagram, SaysThatThereIsNoNetwork) {
  EXPECT_THAT(draw({}), HasSubstr("no network"));
}

TEST(NetworkDiagram, EscapesNames) {
  const std::string svg = network_diagram(
      update({factor("<b>&\"", {out, {"<i>", 2}}), factor("A\x01\xff", {{"<i>", 2}, in})}),
      "</title><script>");
  EXPECT_THAT(svg, HasSubstr(">&lt;b&gt;&amp;&quot;<"));
  EXPECT_THAT(svg, HasSubstr(">&lt;i&gt;<"));
  EXPECT_THAT(svg, HasSubstr(">A\xEF\xBF\xBD\xEF\xBF\xBD<"));
  EXPECT_THAT(svg, HasSubstr("<title>&lt;/title&gt;&lt;script&gt;</title>"));
}

TEST(Svg, KeepsUtf8AndReplacesWhatXmlHasNot) {
  EXPECT_EQ(escape_xml("λ × 𝑊 −"), "λ × 𝑊 −");
  const std::string lost = "\xEF\xBF\xBD";
  EXPECT_EQ(escape_xml("a\nb"), "a" + lost + "b");
  EXPECT_EQ(escape_xml("\xC0\xAF"), lost + lost);             // overlong
  EXPECT_EQ(escape_xml("\xED\xA0\x80"), lost + lost + lost);  // a surrogate
  EXPECT_EQ(escape_xml("\xE2\x82"), lost + lost);             // cut short
  EXPECT_EQ(escape_xml("\xEF\xBF\xBF"), lost);                // U+FFFF
}

}  // namespace
}  // namespace rankfold
