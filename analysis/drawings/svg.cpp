#include "analysis/drawings/svg.h"

#include <cmath>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/text.h"

namespace rankfold {
namespace {

long whole(double value) {
  return std::lround(value);
}

/// U+FFFE and U+FFFF, which XML has not.
bool is_no_character(std::string_view character) {
  return character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF";
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char first = text.front();
    const bool control = length == 1 && (static_cast<unsigned char>(first) < 0x20 || first == 0x7F);
    if (length == 0 || control || is_no_character(text.substr(0, length)))
      escaped += "\xEF\xBF\xBD";
    else if (first == '&')
      escaped += "&amp;";
    else if (first == '<')
      escaped += "&lt;";
    else if (first == '>')
      escaped += "&gt;";
    else if (first == '"')
      escaped += "&quot;";
    else
      escaped += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return escaped;
}

double text_width(std::string_view text, double size) {
  double ems = 0;
  for (const char character : text) {
    if ((static_cast<unsigned char>(character) & 0xC0) == 0x80) continue;
    const bool narrow = std::string_view("iljtfr.,:;|'()[] ").find(character) != text.npos;
    const bool wide = (character >= 'A' && character <= 'Z') || character == 'm' ||
                      character == 'w' || static_cast<unsigned char>(character) >= 0x80;
    ems += narrow ? 0.42 : wide ? 0.86 : 0.65;
  }
  return ems * size;
}

void Svg::line(Point from, Point to, double width) {
  layer(Layer::lines) += fmt::format("<path d=\"M{} {}L{} {}\" stroke-width=\"{:.1f}\"/>\n",
                                     whole(from.x), whole(from.y), whole(to.x), whole(to.y), width);
}

void Svg::path(std::string_view commands) {
  layer(Layer::lines) += fmt::format("<path d=\"{}\"/>\n", commands);
}

void Svg::polyline(const std::vector<Point>& points) {
  std::string commands;
  for (const Point& point : points)
    commands +=
        fmt::format("{}{} {}", commands.empty() ? 'M' : 'L', whole(point.x), whole(point.y));
  path(commands);
}

void Svg::arrow(Point from, Point to) {
  line(from, {to.x - 5, to.y});
  layer(Layer::lines) += fmt::format(
      "<path d=\"M{} {}l-8 -4v8z\" fill=\"#444444\" stroke=\"none\"/>\n", whole(to.x), whole(to.y));
}

void Svg::arc(Point from, Point to, double top) {
  // A cubic curve reaches three quarters of the way to its control points.
  const auto control = [&](double y) { return whole(y - (y - top) / 0.75); };
  path(fmt::format("M{} {}C{} {} {} {} {} {}", whole(from.x), whole(from.y), whole(from.x),
                   control(from.y), whole(to.x), control(to.y), whole(to.x), whole(to.y)));
}

void Svg::box(Layer where, double x, double y, double width, double height, const BoxStyle& style) {
  layer(where) += fmt::format(
      "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\" fill=\"{}\" stroke=\"{}\" "
      "stroke-width=\"{:.1f}\"{}/>\n",
      whole(x), whole(y), whole(x + width) - whole(x), whole(y + height) - whole(y),
      whole(style.radius), style.fill, style.stroke, style.width,
      style.dashed ? " stroke-dasharray=\"5 3\"" : "");
}

void Svg::dot(Point centre, double radius) {
  layer(Layer::boxes) +=
      fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{:.1f}\" fill=\"#222222\"/>\n", whole(centre.x),
                  whole(centre.y), radius);
}

void Svg::text(Point at, std::string_view line, const TextStyle& style) {
  const double width = text_width(line, style.size);
  const double left = style.anchor == Anchor::start    ? at.x
                      : style.anchor == Anchor::middle ? at.x - width / 2
                                                       : at.x - width;
  if (style.background)
    box(Layer::labels, left, at.y - style.size / 2 - 1, width, style.size + 2,
        {"#ffffff", "none", false, 2, 0});
  static constexpr std::array anchors{"start", "middle", "end"};
  layer(Layer::labels) += fmt::format(
      "<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{}\" fill=\"{}\"{}{}>{}</text>\n",
      whole(at.x), whole(at.y + 0.36 * style.size), whole(style.size),
      anchors[static_cast<std::size_t>(style.anchor)], style.colour,
      style.bold ? " font-weight=\"bold\"" : "", style.italic ? " font-style=\"italic\"" : "",
      escape_xml(line));
}

std::string Svg::document(double width, double height, std::string_view title) const {
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" role=\"img\" font-family=\"Helvetica, Arial, 'DejaVu Sans', "
      "sans-serif\">\n<title>{2}</title>\n<rect width=\"{0}\" height=\"{1}\" rx=\"10\" "
      "fill=\"#ffffff\"/>\n",
      whole(width), whole(height), escape_xml(title));
  for (std::size_t i = 0; i < layers_.size(); ++i)
    text +=
        i == static_cast<std::size_t>(Layer::lines)
            ? "<g fill=\"none\" stroke=\"#444444\" stroke-width=\"1.5\">\n" + layers_[i] + "</g>\n"
            : layers_[i];
  return text + "</svg>\n";
}

std::string script_string(std::string_view text) {
  const std::string plain =
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string safe;
  for (std::size_t at = 0; at < plain.size(); ++at) {
    const std::string_view rest = std::string_view(plain).substr(at);
    const bool separator = rest.starts_with("\u2028") || rest.starts_with("\u2029");
    if (plain[at] == '<') {
      safe += "\\u003c";
    } else if (separator) {
      safe += rest.starts_with("\u2028") ? "\\u2028" : "\\u2029";
      at += 2;
    } else {
      safe += plain[at];
    }
  }
  return safe;
}

}  // namespace rankfold
