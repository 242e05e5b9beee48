"""Every configuration key that the project adds to Detectron2's, with its unit."""

from detectron2.config import CfgNode

__all__ = ["add_hmor_config"]


def add_hmor_config(cfg: CfgNode) -> None:
    """Add the project's keys to a Detectron2 config, in place."""
    # Input -------------------------------------------------------------------------------
    # Field of view, in degrees, assumed on the larger image side where a picture comes without
    # intrinsics.  Absolute depth is then approximate.
    cfg.INPUT.DEFAULT_FOV_DEG = 55.0
    # Joint order of 2D annotations whose dataset dict has no "joint_set" (plain Detectron2 dicts).
    cfg.INPUT.DEFAULT_JOINT_SET = "coco17"

    # Colours and image quality, in training.  Pairs are ranges, drawn log-uniformly.
    cfg.INPUT.PHOTOMETRIC = CfgNode()
    cfg.INPUT.PHOTOMETRIC.ENABLED = False
    # Share of images whose tones (the next four), saturation and hue change, each by itself.
    cfg.INPUT.PHOTOMETRIC.COLOUR_PROB = 0.7
    # Factor of all values; factor of their distances from mid-grey; exponent of values in [0, 1].
    cfg.INPUT.PHOTOMETRIC.BRIGHTNESS = (0.75, 1.3)
    cfg.INPUT.PHOTOMETRIC.CONTRAST = (0.7, 1.3)
    cfg.INPUT.PHOTOMETRIC.GAMMA = (0.75, 1.35)
    # Largest relative change of one channel.
    cfg.INPUT.PHOTOMETRIC.WHITE_BALANCE = 0.12
    # Factor of colours' distances from grey; largest rotation of hues, degrees.
    cfg.INPUT.PHOTOMETRIC.SATURATION = (0.5, 1.5)
    cfg.INPUT.PHOTOMETRIC.HUE_DEG = 15.0
    cfg.INPUT.PHOTOMETRIC.GREY_PROB = 0.05
    # Lost sharpness, at most one kind an image.  Standard deviation and length in pixels; factor
    # by which the image is shrunk and enlarged again.
    cfg.INPUT.PHOTOMETRIC.GAUSSIAN_BLUR_PROB = 0.15
    cfg.INPUT.PHOTOMETRIC.GAUSSIAN_BLUR_SIGMA = (0.4, 1.8)
    cfg.INPUT.PHOTOMETRIC.MOTION_BLUR_PROB = 0.08
    cfg.INPUT.PHOTOMETRIC.MOTION_BLUR_LENGTH = (2.0, 9.0)
    cfg.INPUT.PHOTOMETRIC.DOWNSCALE_PROB = 0.12
    cfg.INPUT.PHOTOMETRIC.DOWNSCALE = (0.35, 0.8)
    # Gaussian noise, of each channel or of all alike.  Standard deviation in grey levels of 255.
    cfg.INPUT.PHOTOMETRIC.NOISE_PROB = 0.3
    cfg.INPUT.PHOTOMETRIC.NOISE_SIGMA = (2.0, 14.0)
    # JPEG compression, OpenCV's quality of 1 to 100, whole numbers, drawn uniformly.
    cfg.INPUT.PHOTOMETRIC.JPEG_PROB = 0.3
    cfg.INPUT.PHOTOMETRIC.JPEG_QUALITY = (25, 90)

    # Shapes that cover parts of training images: of a colour, noise, or a patch of the image.
    cfg.INPUT.OCCLUDERS = CfgNode()
    cfg.INPUT.OCCLUDERS.ENABLED = False
    # Share of images that have any, and how many at most.
    cfg.INPUT.OCCLUDERS.PROB = 0.5
    cfg.INPUT.OCCLUDERS.MAX_COUNT = 4
    # Share of occluders that are on a person; the others are anywhere.
    cfg.INPUT.OCCLUDERS.PERSON_PROB = 0.7
    # Area, in shares of a person's box, and width over height.
    cfg.INPUT.OCCLUDERS.AREA = (0.02, 0.3)
    cfg.INPUT.OCCLUDERS.ASPECT = (0.25, 4.0)

    # A window of fixed size on the scaled training image, in place of the resize of
    # INPUT.MIN_SIZE_TRAIN.  It is padded with MODEL.PIXEL_MEAN where the image ends.
    cfg.INPUT.ZOOM_CROP = CfgNode()
    cfg.INPUT.ZOOM_CROP.ENABLED = False
    # Width and height of the window, pixels.
    cfg.INPUT.ZOOM_CROP.SIZE = (512, 384)
    # Size of the image against the largest that fits into the window, drawn log-uniformly.  The
    # first number limits zooming to people too.
    cfg.INPUT.ZOOM_CROP.SCALE = (0.7, 2.0)
    # Share of images zoomed so that a random person, at least partly in view, has a random size:
    # the longer side of the box as a share of the window's height, drawn log-uniformly.
    cfg.INPUT.ZOOM_CROP.PERSON_PROB = 0.6
    cfg.INPUT.ZOOM_CROP.PERSON_SIZE = (0.15, 1.6)
    # Pixels of the window a pixel of the image, at most.
    cfg.INPUT.ZOOM_CROP.MAX_UPSCALE = 3.0

    # Share of a person's box that must be in the training image for joints and depth to be
    # trained; of others the box alone is.  0: everybody's are.
    cfg.INPUT.MIN_POSE_IN_VIEW = 0.0

    # One's own datasets, a list of dicts for hmor_d2.data.register_custom_datasets, e.g.
    # {name: mine, format: muco, json_file: mine/train.json, image_root: mine/images}.
    cfg.DATASETS.CUSTOM = []
    # Share of each of DATASETS.TRAIN among the training samples, e.g. (0.5, 0.5).  Empty: every
    # image equally often.  Applied through Detectron2's RepeatFactorTrainingSampler.
    cfg.DATASETS.TRAIN_RATIO = ()

    # A training sample that cannot be read or does not fit: "stop", with an error that names it, or
    # "skip", logged, with another sample in its place.
    cfg.DATALOADER.ON_BAD_SAMPLE = "stop"
    # With "skip": the share of the samples read, beyond the first ten bad ones, that stops the run.
    cfg.DATALOADER.MAX_BAD_SHARE = 0.01

    # Options of datasets' evaluators, over those of their metadata, a list of dicts, e.g.
    # {dataset: panoptic_test, matching: smap}.
    cfg.TEST.EVALUATOR_OPTIONS = []

    # "SGD", as in the paper, or "AdamW", which leaves the flat heatmaps of an untrained PoseHead
    # in far fewer steps where the learning rate must be small.
    cfg.SOLVER.OPTIMIZER = "SGD"
    # Of AdamW: decay of the running means of gradients and of their squares.
    cfg.SOLVER.BETAS = (0.9, 0.999)

    # Learning rate of the pretrained backbone, its FPN apart, over that of the rest.
    cfg.SOLVER.BACKBONE_MULTIPLIER = 1.0

    # Steps in a row that are skipped, and logged, for a loss or gradient that is not finite, before
    # the training stops with an error.  0: it stops at the first.
    cfg.SOLVER.MAX_NONFINITE_STEPS = 10

    # On a CPU, run in bfloat16 (autocast): faster, with CHANNELS_LAST, where the processor
    # multiplies faster in bfloat16 (AMX: two to three times; AMD's AVX512-BF16), slower elsewhere.
    # Poses move by centimetres: to train.  On a GPU use Detectron2's SOLVER.AMP.
    cfg.MODEL.CPU_BFLOAT16 = False
    # Keep weights and features in channels_last memory: the same numbers, sooner on a CPU, and with
    # mixed precision on a GPU.
    cfg.MODEL.CHANNELS_LAST = False

    # Share of the exponential moving average of the weights that is kept in a step, e.g. 0.999.
    # The average is saved in checkpoints beside the trained weights; it is what evaluations and
    # the demo use, and it leaves the training as it is.  0: no average.
    cfg.MODEL.EMA_DECAY = 0.0

    # Method ------------------------------------------------------------------------------
    cfg.MODEL.HMOR = CfgNode()
    # Joint convention of the model, a name of hmor_d2.skeleton; saved in checkpoints.
    cfg.MODEL.HMOR.SKELETON = "muco17"
    # Weight of L_HMOR (eq. 18).  0 switches the loss off.
    cfg.MODEL.HMOR.LOSS_WEIGHT = 1.0
    # Levels of ordinal relations: any of "instance", "part", "joint" (Table 4 a).
    cfg.MODEL.HMOR.LEVELS = ["instance", "part", "joint"]
    # Weight of each level in L_HMOR (eq. 9 has one for all).
    cfg.MODEL.HMOR.INSTANCE_WEIGHT = 1.0
    cfg.MODEL.HMOR.PART_WEIGHT = 1.0
    cfg.MODEL.HMOR.JOINT_WEIGHT = 1.0
    # "vector": angles of parts (eq. 7); "particle": depths of their middles (Table 4 b).
    cfg.MODEL.HMOR.PART_REPRESENTATION = "vector"
    # Virtual views (eq. 10) an image and step, besides the camera's own.  0 is Table 4 (a).
    cfg.MODEL.HMOR.NUM_VIRTUAL_VIEWS = 8
    # Millimetres in the unit of the losses: log(1 + d) depends on it.
    cfg.MODEL.HMOR.UNIT_MM = 1000.0
    # Pairs an image and level beyond which a random sample of them is used.  0: all pairs.
    cfg.MODEL.HMOR.MAX_PAIRS = 0
    # Weight of an L1 loss on absolute poses, the baseline "+ L_abs" of Table 4.
    cfg.MODEL.HMOR.ABS_POSE_LOSS_WEIGHT = 0.0

    # Depth map (eq. 12 and 13) -----------------------------------------------------------
    cfg.MODEL.DEPTH_MAP_HEAD = CfgNode()
    cfg.MODEL.DEPTH_MAP_HEAD.NAME = "FPNDepthMapHead"
    # FPN levels that are summed; the finest sets the map's stride.
    cfg.MODEL.DEPTH_MAP_HEAD.IN_FEATURES = ["p3", "p4", "p5"]
    # Channels of the 1x1 convolutions before the sum; channels and number of the 3x3 ones after.
    cfg.MODEL.DEPTH_MAP_HEAD.CONV_DIM = 128
    cfg.MODEL.DEPTH_MAP_HEAD.NUM_CONV = 3
    # Norm of these convolutions: "", "BN", "SyncBN", "GN", ...
    cfg.MODEL.DEPTH_MAP_HEAD.NORM = "GN"
    # Radius, in cells of the map, around each root within which the map is supervised.
    cfg.MODEL.DEPTH_MAP_HEAD.TARGET_RADIUS = 2
    # Value of the map before training, mm per pixel (3 m at a focal length of 1000 pixels).
    cfg.MODEL.DEPTH_MAP_HEAD.PRIOR = 3.0
    cfg.MODEL.DEPTH_MAP_HEAD.LOSS_WEIGHT = 0.5

    # Root-relative 3D pose (eq. 11) ------------------------------------------------------
    cfg.MODEL.ROI_POSE_HEAD = CfgNode()
    cfg.MODEL.ROI_POSE_HEAD.NAME = "HeatmapPoseHead"
    # RoIAlign shared by the pose and the depth head.
    cfg.MODEL.ROI_POSE_HEAD.POOLER_RESOLUTION = 14
    cfg.MODEL.ROI_POSE_HEAD.POOLER_SAMPLING_RATIO = 2
    cfg.MODEL.ROI_POSE_HEAD.POOLER_TYPE = "ROIAlignV2"
    # Foreground proposals an image, at most, that train the pose and depth heads; the best of
    # each person is always among them.  0: all.
    cfg.MODEL.ROI_POSE_HEAD.BATCH_SIZE_PER_IMAGE = 32
    # Residual blocks and the width of their 3x3 convolutions.
    cfg.MODEL.ROI_POSE_HEAD.NUM_BLOCKS = 3
    cfg.MODEL.ROI_POSE_HEAD.BLOCK_DIM = 128
    # Channels of the transposed convolution, which doubles the resolution.
    cfg.MODEL.ROI_POSE_HEAD.DECONV_DIM = 256
    cfg.MODEL.ROI_POSE_HEAD.NORM = "BN"
    # Factor between the last convolution's output and the heatmaps' logits.  It changes no heatmap
    # that can be learnt, but with small learning rates the flat ones of an untrained head are left
    # several times sooner with 10.  With 30, depths collapse onto one bin a joint and stop
    # learning.  1 is the paper's.
    cfg.MODEL.ROI_POSE_HEAD.LOGIT_SCALE = 1.0
    # Heatmap bins along depth, and the depth range around the root that they span: -R to R mm.
    cfg.MODEL.ROI_POSE_HEAD.DEPTH_BINS = 28
    cfg.MODEL.ROI_POSE_HEAD.DEPTH_RANGE_MM = 1000.0
    cfg.MODEL.ROI_POSE_HEAD.LOSS_WEIGHT = 5.0
    # Weight of a loss that draws the heatmaps' marginals, in the image and along depth, to
    # Gaussians around the joints, so that none gets stuck on a wrong bin.  0, the paper's: eq. 11
    # alone trains the heatmaps.
    cfg.MODEL.ROI_POSE_HEAD.MARGINAL_LOSS_WEIGHT = 0.0
    # At test, a joint is near its heatmap's highest peak alone, within about this share of the RoI,
    # and not drawn to the RoI's middle by a wide heatmap.  0, the paper's: the mean over all of it.
    cfg.MODEL.ROI_POSE_HEAD.TEST_PEAK_SIGMA = 0.0
    # True: joints outside the RoI (of truncated people) train too, towards the nearest edge and
    # their depth.  False, the paper's: they do not train.
    cfg.MODEL.ROI_POSE_HEAD.CLAMP_TRUNCATED = False

    # Root depth refinement (eq. 14 to 17) ------------------------------------------------
    cfg.MODEL.ROI_DEPTH_HEAD = CfgNode()
    cfg.MODEL.ROI_DEPTH_HEAD.NAME = "ResidualDepthHead"
    # False: the depth map's value is the answer (Table 4 d).
    cfg.MODEL.ROI_DEPTH_HEAD.REFINE = True
    cfg.MODEL.ROI_DEPTH_HEAD.NUM_BLOCKS = 3
    cfg.MODEL.ROI_DEPTH_HEAD.BLOCK_DIM = 128
    cfg.MODEL.ROI_DEPTH_HEAD.FC_DIM = 512
    cfg.MODEL.ROI_DEPTH_HEAD.NORM = "BN"
    # Unit of equivalent depths inside the head and its loss, mm: people are at 60 to 100.
    cfg.MODEL.ROI_DEPTH_HEAD.UNIT_MM = 80.0
    cfg.MODEL.ROI_DEPTH_HEAD.LOSS_WEIGHT = 1.0
