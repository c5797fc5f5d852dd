// From what is wanted to a Plan: gathers every descriptor that one start needs from the rooms that make them. Nothing
// of the container runs yet; what fails here leaves nothing behind but what its owners drop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cgroups/tree.hpp"
#include "config/host.hpp"
#include "image/record.hpp"
#include "netns/netns.hpp"
#include "sandbox/plan.hpp"
#include "supervisor/core/state.hpp"
#include "supervisor/directories.hpp"
#include "supervisor/id_map.hpp"
#include "supervisor/mount_view.hpp"
#include "supervisor/sealed_images.hpp"

namespace orlop::supervisor {

/// A start that is ready for its launch.
struct Prepared {
  sandbox::Spec spec;
  std::unique_ptr<sandbox::Plan> plan;
  std::unique_ptr<cgroups::Group> group;
  UniqueFd output;   ///< read end of what the process writes to its standard output
  UniqueFd error;    ///< likewise
  UniqueFd dev_log;  ///< the socket behind /dev/log, with `dev_log`
};

/// What one of orlop's own jailed workers is given.
struct WorkerRequest {
  std::string name;  ///< "image-import"
  std::vector<std::string> argv;
  std::vector<UniqueFd> inherited = {};       ///< become 3, 4, …
  std::vector<sandbox::MountAt> mounts = {};  ///< detached; all but `/out` are read-only
  std::uint64_t capabilities = 0;             ///< of its own user namespace
  Bytes memory = 256_MiB;
  sandbox::IdRange ids = {};
};

class Preparation {
 public:
  /// All arguments are borrowed for the object's life.
  Preparation(const Directories& directories, const MountView& view, const cgroups::Tree& tree, const IdMap& ids,
              SealedImages& images);

  /// What `container` is when started from the image that `record` is of. Attaches the image if a mount target has to
  /// be looked up.
  Result<sandbox::Spec> resolve(const config::Container& container, const image::Record& record);
  /// Readies a start of `container` from the image that `record` is of.
  Result<Prepared> container(const config::Container& container, const image::Record& record, core::Start start);
  /// Readies a worker of orlop's own.
  Result<Prepared> worker(WorkerRequest request, core::Start start);
  /// Readies a program inside a container that runs, as its user and under its limits; both of its streams go to
  /// `output`.
  Result<std::unique_ptr<sandbox::Plan>> inside(const sandbox::Spec& running, std::vector<std::string> argv,
                                                BorrowedFd pidfd, const cgroups::Group& group, UniqueFd output);

  /// What this kernel gives.
  [[nodiscard]] const sandbox::KernelFeatures& kernel() const { return kernel_; }
  /// Whether the pool of network namespaces has room.
  [[nodiscard]] bool wants_refill() const { return networks_.ready() < pool_size; }
  /// Fills it by one; true: more are wanted.
  Result<bool> refill() { return networks_.refill_one(); }

 private:
  Result<Prepared> assemble(sandbox::Spec spec, sandbox::Resources resources, const cgroups::Limits& limits,
                            core::Start start);
  Result<std::vector<sandbox::MountAt>> mounts_of(const sandbox::Spec& spec);
  Result<UniqueFd> volume(const sandbox::Bind& bind, sandbox::IdRange ids, const sandbox::Spec& spec);
  Result<BorrowedFd> reaper();

  const Directories& directories_;
  const MountView& view_;
  const cgroups::Tree& tree_;
  const IdMap& ids_;
  SealedImages& images_;
  sandbox::KernelFeatures kernel_;
  sandbox::SeccompCache filters_;
  IdmapNamespaces idmaps_;
  static constexpr std::size_t pool_size = 4;
  netns::Pool networks_{pool_size};
  UniqueFd reaper_;
};

}  // namespace orlop::supervisor
