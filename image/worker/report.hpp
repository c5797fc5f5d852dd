// Collects what sealing changed, for the record: counts, and the first few places of each.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "image/path.hpp"
#include "image/record.hpp"

namespace orlop::image {

class Report {
 public:
  /// Notes one `finding` at `where`, a path inside the image with what else there is to say.
  void add(Finding finding, std::string_view where) {
    ReportItem& item = items_[finding];
    item.finding = finding;
    ++item.count;
    std::string example = printable(where);
    if (item.examples.size() < ReportItem::max_examples &&
        std::ranges::find(item.examples, example) == item.examples.end())
      item.examples.push_back(std::move(example));
  }

  [[nodiscard]] std::vector<ReportItem> items() const {
    std::vector<ReportItem> items;
    for (const auto& [finding, item] : items_) items.push_back(item);
    return items;
  }

 private:
  std::map<Finding, ReportItem> items_;
};

}  // namespace orlop::image
