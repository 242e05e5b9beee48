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

    # One's own datasets, a list of dicts for hmor_d2.data.register_custom_datasets, e.g.
    # {name: mine, format: muco, json_file: mine/train.json, image_root: mine/images}.
    cfg.DATASETS.CUSTOM = []
    # Share of each of DATASETS.TRAIN among the training samples, e.g. (0.5, 0.5).  Empty: every
    # image equally often.  Applied through Detectron2's RepeatFactorTrainingSampler.
    cfg.DATASETS.TRAIN_RATIO = ()

    # Options of datasets' evaluators, over those of their metadata, a list of dicts, e.g.
    # {dataset: panoptic_test, matching: smap}.
    cfg.TEST.EVALUATOR_OPTIONS = []

    # "SGD", as in the paper, or "AdamW", which leaves the flat heatmaps of an untrained PoseHead
    # in far fewer steps where the learning rate must be small.
    cfg.SOLVER.OPTIMIZER = "SGD"
    # Of AdamW: decay of the running means of gradients and of their squares.
    cfg.SOLVER.BETAS = (0.9, 0.999)

    # On a CPU, run in bfloat16 (autocast) and channels_last: two to three times faster where the
    # processor has bfloat16 matrix units.  On a GPU use Detectron2's SOLVER.AMP.
    cfg.MODEL.CPU_BFLOAT16 = False

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
