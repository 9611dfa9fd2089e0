// Smoothed inference of an accelerator: the smoother around it; images in, counts out.
//
// Reference    flow.certify.smoothing.count_votes, compared afterwards in sim/smoothed.py
// Run          streams the images of stimulus.hex back to back and
//              changes `done` when all results are there, or none came for `watchdog` cycles
// Record       one line per result in results.txt: {winner, counts}
// Stalls       +offer= and +accept= are chances in 256 per cycle; 256 never stalls
// Not          synthesisable, and no judge: it compares no values
module smoothing_harness #(
  parameter int Lanes     = 1,   // elements per beat
  parameter int InBits    = 8,   // per element
  parameter int InKind    = 0,
  parameter int Low       = 0,
  parameter int High      = 255,
  parameter int Steps     = 1,   // levels of noise
  parameter logic [Steps*31-1:0] Constants = '0,
  parameter logic [4*Lanes*32-1:0] Seeds = '1,
  parameter int Beats     = 1,   // input words per image
  parameter int Votes     = 1,   // per image
  parameter int Classes   = 2,
  parameter int WordBits  = 8,   // the accelerator's output word
  parameter int Memories  = 1,
  parameter int CfgBits   = 8,
  parameter int CfgMemoryBits  = 8,
  parameter int CfgAddressBits = 16
);

  localparam int Capacity   = 65536;  // input words
  localparam int ClassBits  = (Classes > 1) ? $clog2(Classes) : 1;
  localparam int ResultBits = ClassBits + Classes * $clog2(Votes + 1);

  bit clk;
  always #5 clk = ~clk;

  logic [Lanes*InBits-1:0] stimulus [Capacity];
  int images, watchdog, offer, accept, results;
  initial begin
    if (!$value$plusargs("images=%d", images)) $fatal(1, "+images= is missing");
    if (images * Beats > Capacity) $fatal(1, "+images=%0d exceeds Capacity=%0d", images, Capacity);
    if (!$value$plusargs("watchdog=%d", watchdog)) $fatal(1, "+watchdog= is missing");
    if (!$value$plusargs("offer=%d", offer)) offer = 256;
    if (!$value$plusargs("accept=%d", accept)) accept = 256;
    $readmemh("stimulus.hex", stimulus, 0, images * Beats - 1);
    results = $fopen("results.txt", "w");
  end

  bit done;  // read by the bench

  logic rst_nq, valid_q, ready_q;
  logic noisy_valid, net_ready, class_valid, vote_ready;
  logic in_ready, out_valid;
  logic [Lanes*InBits-1:0] data_q, noisy;
  logic [WordBits-1:0]     word;
  logic [ResultBits-1:0]   result;
  logic [CfgBits-1:0]      cfg_unused;
  logic [Memories-1:0]     detected_unused;
  int next_q, owed_q, silent_q, reset_q;
  int unsigned stall_q;

  smoother #(
    .Lanes    (Lanes),
    .InBits   (InBits),
    .InKind   (InKind),
    .Low      (Low),
    .High     (High),
    .Steps    (Steps),
    .Constants(Constants),
    .Seeds    (Seeds),
    .Beats    (Beats),
    .Votes    (Votes),
    .Classes  (Classes),
    .WordBits (WordBits)
  ) u_smoother (
    .clk_i        (clk),
    .rst_ni       (rst_nq),
    .valid_i      (valid_q),
    .ready_o      (in_ready),
    .data_i       (data_q),
    .noisy_valid_o(noisy_valid),
    .noisy_ready_i(net_ready),
    .noisy_data_o (noisy),
    .class_valid_i(class_valid),
    .class_ready_o(vote_ready),
    .class_data_i (word),
    .valid_o      (out_valid),
    .ready_i      (ready_q),
    .data_o       (result)
  );

  accelerator u_accelerator (
    .clk_i        (clk),
    .rst_ni       (rst_nq),
    .valid_i      (noisy_valid),
    .ready_o      (net_ready),
    .data_i       (noisy),
    .valid_o      (class_valid),
    .ready_i      (vote_ready),
    .data_o       (word),
    .cfg_valid_i  (1'b0),
    .cfg_write_i  (1'b0),
    .cfg_memory_i (CfgMemoryBits'(0)),
    .cfg_address_i(CfgAddressBits'(0)),
    .cfg_data_i   (CfgBits'(0)),
    .cfg_data_o   (cfg_unused),
    .detected_o   (detected_unused)
  );

  initial begin
    {rst_nq, valid_q, ready_q} = '0;
    {next_q, silent_q} = '0;
    reset_q = 4;
    owed_q = -1;
    stall_q = 32'h1;
  end

  always @(posedge clk) begin
    stall_q <= {stall_q[30:0], stall_q[31] ^ stall_q[21] ^ stall_q[1] ^ stall_q[0]};
    if (reset_q != 0) begin
      reset_q <= reset_q - 1;
      rst_nq  <= reset_q == 1;
      owed_q  <= images;
    end else if (owed_q != 0) begin
      // input: an offered word stays until it is taken
      if (!valid_q || in_ready) begin
        valid_q <= next_q != images * Beats && offer > {24'd0, stall_q[7:0]};
        if (next_q != images * Beats && offer > {24'd0, stall_q[7:0]}) begin
          data_q <= stimulus[next_q];
          next_q <= next_q + 1;
        end
      end
      // output
      ready_q  <= accept > {24'd0, stall_q[23:16]};
      silent_q <= silent_q + 1;
      if (out_valid && ready_q) begin
        $fwrite(results, "%h\n", result);
        owed_q   <= owed_q - 1;
        silent_q <= 0;
      end
      if (silent_q > watchdog) owed_q <= 0;
    end else if (!done) begin
      $fclose(results);
      done <= 1'b1;
    end
  end

endmodule
