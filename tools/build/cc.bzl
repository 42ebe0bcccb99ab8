"""Slipway's C++ targets: one place for warnings and the language version."""

COPTS = [
    "-std=c++20",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-missing-field-initializers",
]

def slipway_cc_library(name, copts = [], **kwargs):
    native.cc_library(name = name, copts = COPTS + copts, **kwargs)

def slipway_cc_binary(name, copts = [], **kwargs):
    native.cc_binary(name = name, copts = COPTS + copts, **kwargs)

def slipway_cc_test(name, copts = [], deps = [], size = "small", linkstatic = True, **kwargs):
    """A GoogleTest target. Static by default: our own shared objects would not name the system's they need."""
    native.cc_test(
        name = name,
        size = size,
        linkstatic = linkstatic,
        copts = COPTS + copts,
        deps = deps + ["//third_party/system:gtest_main"],
        **kwargs
    )

def slipway_cc_fuzz_test(name, srcs, deps = [], seeds = [], **kwargs):
    """A libFuzzer target under --config=fuzz; otherwise a test that replays the seed corpus."""
    native.cc_test(
        name = name,
        size = "small",
        srcs = srcs,
        copts = COPTS,
        args = ["$(location %s)" % s for s in seeds],
        data = seeds,
        deps = deps + select({
            "//tools/build:fuzzing": [],
            "//conditions:default": ["//tools/build:fuzz_replay_main"],
        }),
        linkopts = select({
            "//tools/build:fuzzing": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        **kwargs
    )
